"""A graph with nodes that ComfyUI must run again although it still has their outputs.

ComfyUI looks a node up in its cache by all inputs that the graph gives it (`CacheKeySetInputSignature` in its
comfy_execution/caching.py), and hands a node only those inputs that its class takes (`get_input_data` in its
execution.py). So an input that no class takes changes the one and not the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from comfybridge.workflow.graph import RUN_INPUT, Graph, copy_graph, is_link


def past_cache(graph: Graph, nodes: Iterable[str], run: str, writes_files: Callable[[str], bool]) -> Graph:
    """A copy of a graph in which these nodes are not found in ComfyUI's cache; nor are those that feed them and write
    files themselves, as a node may show a file that another one has made.

    Args:
        run: what no earlier run was called.
        writes_files: whether nodes of a class write files.
    """
    copy = copy_graph(graph)
    for node in copy.values():
        node.pop("is_changed", None)  # what ComfyUI noted of an earlier run
    wanted = set(nodes)
    wanted |= {each for each in _above(graph, wanted) if writes_files(graph[each]["class_type"])}
    for each in wanted.intersection(copy):
        copy[each]["inputs"][RUN_INPUT] = run
    return copy


def _above(graph: Graph, nodes: Iterable[str]) -> set[str]:
    """The nodes that feed these, directly or through others."""
    found: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node: dict[str, Any] = graph.get(waiting.pop(), {})
        for value in node.get("inputs", {}).values():
            if is_link(value) and str(value[0]) in graph and str(value[0]) not in found:
                found.add(str(value[0]))
                waiting.append(str(value[0]))
    return found
