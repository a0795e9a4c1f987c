"""Changes a graph so that ComfyUI runs nodes again although their outputs are cached.

ComfyUI's cache key of a node includes all inputs in the graph (`CacheKeySetInputSignature` in its
comfy_execution/caching.py), but a node gets only those inputs that its class takes (`get_input_data` in its
execution.py). So an input that no class takes changes only the cache key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from comfybridge.workflow.graph import RUN_INPUT, Graph, copy_graph, is_link


def past_cache(graph: Graph, nodes: Iterable[str], run: str, writes_files: Callable[[str], bool]) -> Graph:
    """A copy of a graph in which these nodes, and nodes before them that write files, are not cached.

    Args:
        run: a name that no earlier run had.
        writes_files: returns whether nodes of a class write files.
    """
    copy = copy_graph(graph)
    for node in copy.values():
        node.pop("is_changed", None)  # ComfyUI's note from an earlier run
    wanted = set(nodes)
    wanted |= {each for each in _above(graph, wanted) if writes_files(graph[each]["class_type"])}
    for each in wanted.intersection(copy):
        copy[each]["inputs"][RUN_INPUT] = run
    return copy


def _above(graph: Graph, nodes: Iterable[str]) -> set[str]:
    """All nodes that feed these nodes, directly or indirectly."""
    found: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node: dict[str, Any] = graph.get(waiting.pop(), {})
        for value in node.get("inputs", {}).values():
            if is_link(value) and str(value[0]) in graph and str(value[0]) not in found:
                found.add(str(value[0]))
                waiting.append(str(value[0]))
    return found
