"""The order in which the nodes of one prompt run: ComfyUI's, which shows results as soon as it can."""

from comfybridge.simulator.cache import Cache
from comfybridge.simulator.links import linked_nodes
from comfybridge.simulator.nodes.definition import Graph, NodeClass


class Plan:
    """The nodes still to run for the chosen outputs; cached nodes are skipped, with those that only they need."""

    def __init__(self, graph: Graph, outputs: list[str], cache: Cache, classes: dict[str, NodeClass]) -> None:
        self._classes = classes
        self._graph = graph
        self._pending: dict[str, None] = {}
        self._blockers: dict[str, set[str]] = {}
        self._blocks: dict[str, list[str]] = {}
        for output in outputs:
            self._add(output, cache)

    def _add(self, output: str, cache: Cache) -> None:
        stack = [output]
        while stack:
            node_id = stack.pop()
            if node_id in self._pending:
                continue
            self._pending[node_id] = None
            self._blockers[node_id] = set()
            self._blocks.setdefault(node_id, [])
            for source in linked_nodes(self._graph[node_id]):
                if cache.get(source) is None:
                    stack.append(source)
                    self._blockers[node_id].add(source)
                    blocked = self._blocks.setdefault(source, [])
                    if node_id not in blocked:
                        blocked.append(node_id)

    def __bool__(self) -> bool:
        return bool(self._pending)

    def next(self) -> str:
        """The node to run now: an output node if one is ready, else one that brings an output node nearest."""
        ready = [node_id for node_id in self._pending if not self._blockers[node_id]]
        for distance in range(3):
            for node_id in ready:
                if self._leads_to_output(node_id, distance):
                    return node_id
        return ready[0]

    def done(self, node_id: str) -> None:
        del self._pending[node_id]
        for blocked in self._blocks[node_id]:
            self._blockers[blocked].discard(node_id)

    def _leads_to_output(self, node_id: str, distance: int) -> bool:
        if distance == 0:
            return self._classes[self._graph[node_id]["class_type"]].output_node
        return any(self._leads_to_output(blocked, distance - 1) for blocked in self._blocks[node_id])
