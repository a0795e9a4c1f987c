"""ComfyUI's classic cache: the results of the previous prompt's nodes, for nodes whose inputs are all unchanged."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from comfybridge.simulator.links import is_link
from comfybridge.simulator.nodes.catalog import node_classes
from comfybridge.simulator.nodes.definition import Graph
from comfybridge.simulator.world import World


@dataclass
class Cached:
    """The result of a node: its outputs, and what it showed with the id under which it did (None: nothing)."""

    outputs: tuple[Any, ...]
    shown: dict[str, Any] | None
    meta: dict[str, Any] | None


class Cache:
    """Results by signature: a node's class, inputs and all nodes before it, without ids."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._results: dict[str, Cached] = {}
        self._memories: dict[tuple[str, str], dict[str, Any]] = {}
        self._signatures: dict[str, str] = {}

    def start_prompt(self, graph: Graph) -> None:
        """Drops results that the new prompt does not use. Marks nodes in `graph` whose files were checked."""
        self._signatures = {node_id: _signature(graph, node_id, self._world) for node_id in graph}
        wanted = set(self._signatures.values())
        self._results = {key: value for key, value in self._results.items() if key in wanted}
        objects = {(node_id, graph[node_id]["class_type"]) for node_id in graph}
        self._memories = {key: value for key, value in self._memories.items() if key in objects}

    def get(self, node_id: str) -> Cached | None:
        return self._results.get(self._signatures[node_id])

    def put(self, node_id: str, result: Cached) -> None:
        self._results[self._signatures[node_id]] = result

    def memory(self, node_id: str, class_type: str) -> dict[str, Any]:
        """What this node's object remembers between prompts."""
        return self._memories.setdefault((node_id, class_type), {})

    def clear(self) -> None:
        """Forgets everything, as POST /free and a restart do."""
        self._results.clear()
        self._memories.clear()


def _signature(graph: Graph, node_id: str, world: World) -> str:
    ancestors = _ancestors(graph, node_id)
    places = {ancestor: place for place, ancestor in enumerate(ancestors)}
    return json.dumps([_own_signature(graph.get(one), places, world) for one in (node_id, *ancestors)])


def _own_signature(node: dict[str, Any] | None, places: dict[str, int], world: World) -> list[Any]:
    if node is None:
        return [uuid.uuid4().hex]  # a link to nowhere, in a part of the graph that does not run: unlike anything else
    inputs = [
        (name, ["ANCESTOR", places[value[0]], value[1]] if is_link(value) else value)
        for name, value in sorted(node["inputs"].items())
    ]
    changed = _changed(node, world)
    # NaN, the answer for a file that cannot be read, is not even equal to itself: no cached result fits.
    return [node["class_type"], uuid.uuid4().hex if changed != changed else changed, inputs]


def _changed(node: dict[str, Any], world: World) -> Any:
    changed = node_classes(world.version)[node["class_type"]].changed
    if changed is None:
        return False
    if "is_changed" not in node:
        given = {name: None if is_link(value) else value for name, value in node["inputs"].items()}
        try:
            # ComfyUI adds the answer to the graph, so it appears in the metadata of saved files.
            node["is_changed"] = [changed(world, **given)]
        except OSError:
            node["is_changed"] = float("nan")
    return node["is_changed"]


def _ancestors(graph: Graph, node_id: str) -> list[str]:
    """All nodes before a node, in an order that depends on the inputs' names, not on the ids."""
    found: dict[str, None] = {}

    def visit(current: str) -> None:
        if current not in graph:
            return
        for _, value in sorted(graph[current]["inputs"].items()):
            if is_link(value) and value[0] not in found:
                found[value[0]] = None
                visit(value[0])

    visit(node_id)
    return list(found)
