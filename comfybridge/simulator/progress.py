"""The progress of a prompt's nodes, and the events that report it."""

from collections.abc import Callable
from typing import Any

Send = Callable[[str, Any], None]


class Progress:
    """States of the nodes that have begun; every change is sent as one `progress_state` with all of them."""

    def __init__(self, prompt_id: str, send: Send) -> None:
        self._prompt_id = prompt_id
        self._send = send
        self._nodes: dict[str, dict[str, Any]] = {}

    def start(self, node_id: str) -> None:
        self._set(node_id, 0.0, 1.0, "running")

    def update(self, node_id: str, value: int, maximum: int) -> None:
        self._set(node_id, value, maximum, "running")

    def finish(self, node_id: str) -> None:
        """A node that never started, because its result was cached, counts as 1 of 1."""
        maximum = self._nodes.get(node_id, {"max": 1})["max"]
        self._set(node_id, maximum, maximum, "finished")

    def _set(self, node_id: str, value: float, maximum: float, state: str) -> None:
        self._nodes[node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        self._send("progress_state", {"prompt_id": self._prompt_id, "nodes": dict(self._nodes)})
