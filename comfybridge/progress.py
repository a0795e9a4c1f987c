"""How far a prompt is, told in terms of the whole graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.comfyui import events
from comfybridge.comfyui.outcome import Prompt


@dataclass(frozen=True)
class Progress:
    """A step forward.

    Attributes:
        percent: of the graph's nodes that are done or need not run, the running ones counted by their steps.
        node_id, class_type: the node that is at it.
        value, max: its step of how many.
    """

    percent: float
    node_id: str
    class_type: str
    value: float
    max: float


@dataclass(frozen=True)
class Preview:
    """A picture of what a node has so far."""

    node_id: str
    media_type: str
    data: bytes


class ProgressMeter:
    """Turns a prompt's events into progress and previews.

    Every node counts the same, for nobody knows beforehand how long one takes. The percentage never falls.
    """

    def __init__(self, prompt: Prompt) -> None:
        self._graph: Mapping[str, Mapping[str, Any]] = prompt.graph
        self._finished_images = set(prompt.websocket_outputs)
        self._done: dict[str, float] = {}
        self._running: str | None = None
        self._percent = 0.0

    def read(self, event: events.Event) -> Iterator[Progress | Preview]:
        """What an event means to somebody who waits; often nothing."""
        if isinstance(event, events.ExecutionCached):
            self._done.update(dict.fromkeys(event.nodes, 1.0))
        elif isinstance(event, events.ProgressState):
            for name, each in event.nodes.items():
                self._done[name] = 1.0 if each.state == "finished" else each.value / (each.max or 1)
        elif isinstance(event, events.Executing) and event.node is not None:
            if self._running is not None:  # before mid-2025 there is no ProgressState: the one before is done
                self._done[self._running] = 1.0
            self._running = event.node
            yield self._progress(event.display_node or event.node, 0, 1)
        elif isinstance(event, events.Progress) and event.node is not None:
            self._done[event.node] = event.value / (event.max or 1)
            yield self._progress(event.node, event.value, event.max)
        elif isinstance(event, events.Image):
            node = event.node or self._running
            if node is not None and node not in self._finished_images:
                yield Preview(node, event.media_type, event.data)

    def _progress(self, node: str, value: float, most: float) -> Progress:
        share = sum(self._done.get(each, 0.0) for each in self._graph) / len(self._graph)
        self._percent = max(self._percent, round(100 * min(share, 1.0), 1))
        class_type = str(self._graph.get(node, {}).get("class_type", ""))
        return Progress(self._percent, node, class_type, value, most)
