"""Graphs in ComfyUI's API format: `{"3": {"class_type": "KSampler", "inputs": {...}, "_meta": {...}}}`.

An input is a literal, or a link `[node id, slot]` to an output of another node.
"""

from __future__ import annotations

import math
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.wording import clip, describe
from comfybridge.workflow.wrapping import unwrap

Graph = dict[str, dict[str, Any]]

DEEPEST = 64
# The largest published graphs have some 1,500 nodes; the time to handle a graph grows with its size.
MOST_NODES = 20_000
MOST_INPUTS = 100_000
LONGEST_CLASS = 256  # characters; ComfyUI is asked for a class by its address, which must not be too long
LONGEST_TARGET = 500  # characters of NODE.INPUT
# An input that no class takes: the bridge gives it to nodes that are to run again (see past_cache.py).
RUN_INPUT = "comfybridge_run"
LARGEST_ID = 2**64  # of a node's id that is a number; Python refuses to write numbers of thousands of digits
API_FORMAT = "an object of nodes in ComfyUI's API format, each with class_type and inputs"


def is_link(value: object) -> bool:
    """Whether a value has a link's form: `[node id, slot]`."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], (str, int))
        and isinstance(value[1], int)
        and not isinstance(value[0], bool)
        and not isinstance(value[1], bool)
        and (isinstance(value[0], str) or abs(value[0]) < LARGEST_ID)
    )


def check_graph(value: object) -> Graph:
    """Give a copy of the graph that is known to be well-formed, links with integer node ids turned into texts.

    Args:
        value: the graph, or what `wrapping.py` knows how to take it out of.

    Raises:
        InvalidWorkflow: the graph is malformed; the message names the node and the fault.
    """
    graph = {_node_id(key): node for key, node in _nodes_of(value).items()}
    _check_size(graph)
    checked = {node_id: _check_node(node_id, node) for node_id, node in graph.items()}
    for node_id, node in checked.items():
        for name, given in node["inputs"].items():
            try:
                node["inputs"][name] = resolve_link(checked, given)
            except ValueError as error:
                raise InvalidWorkflow(f"{_title(node_id, node)}: input {clip(name)} {error}.") from None
    check_cycles(checked)
    return checked


def set_input(graph: Graph, node_id: str, input_name: str, value: object) -> None:
    """Set an input of a node."""
    graph[node_id]["inputs"][input_name] = value


def parse_target(name: str, graph: Graph) -> tuple[str, str] | None:
    """Split `"NODE.INPUT"` into node id and input name; None if it does not have that form.

    Both may hold dots, so the longest node id that the graph has wins. If it has none, the first dot divides.
    """
    if len(name) > LONGEST_TARGET:
        return None
    dots = [index for index, letter in enumerate(name) if letter == "." and 0 < index < len(name) - 1]
    if not dots:
        return None
    index = next((index for index in reversed(dots) if name[:index] in graph), dots[0])
    return name[:index], name[index + 1 :]


def bypass_node(graph: Graph, node_id: str, input_name: str) -> None:
    """Remove a node, and give the nodes that use its first output what it gets through an input."""
    source = graph.pop(node_id)["inputs"][input_name]
    for node in graph.values():
        for name, value in node["inputs"].items():
            if is_link(value) and value[0] == node_id:
                node["inputs"][name] = list(source)


def copy_graph(graph: Graph) -> Graph:
    """A copy of a checked graph that shares nothing that can be changed."""
    return {node_id: copy_value(node) for node_id, node in graph.items()}


def copy_value(value: Any, depth: int = 0) -> Any:
    """Copy a value, provided that JSON can carry it.

    Raises:
        ValueError: why it can't, put so that it follows the value's name: "is ...".
    """
    if value is None or isinstance(value, (str, bool)):  # most are
        return value
    if depth > DEEPEST:
        raise ValueError(f"is nested more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("has an object with a key that is not a text")
        return {key: copy_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_value(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"is {value}, which is not a number that ComfyUI accepts")
    if isinstance(value, int) and value.bit_length() > 1024:
        raise ValueError("is too large a number")
    if isinstance(value, (int, float)):
        return value
    raise ValueError(f"is {describe(value)}, which JSON cannot hold")


def resolve_link(graph: Graph, value: Any) -> Any:
    """Normalise a value if it is a link into the graph, and return other values unchanged.

    Two integers are a link only where such a node exists, for they may as well be a size.

    Raises:
        ValueError: where the link leads, if that is nowhere, put so that it follows the input's name.
    """
    if not is_link(value):
        return value
    node_id, slot = str(value[0]), value[1]
    if node_id not in graph:
        if isinstance(value[0], int):
            return value
        raise ValueError(f"links to node {clip(node_id)}, which is not in the graph")
    if slot < 0:
        raise ValueError(f"links to output {slot} of node {clip(node_id)}; outputs count from 0")
    return [node_id, slot]


def check_cycles(graph: Graph) -> None:
    """Refuse a graph in which a node needs its own output, directly or through others.

    Raises:
        InvalidWorkflow: names the nodes on the circle.
    """
    needs = {
        node_id: [value[0] for value in node["inputs"].values() if is_link(value) and value[0] in graph]
        for node_id, node in graph.items()
    }
    feeds: dict[str, list[str]] = {node_id: [] for node_id in graph}
    for node_id, sources in needs.items():
        for feeder in sources:
            feeds[feeder].append(node_id)
    missing = {node_id: len(sources) for node_id, sources in needs.items()}
    ready = [node_id for node_id, count in missing.items() if count == 0]
    while ready:
        for node_id in feeds[ready.pop()]:
            missing[node_id] -= 1
            if missing[node_id] == 0:
                ready.append(node_id)
    stuck = {node_id: count for node_id, count in missing.items() if count > 0}
    if stuck:
        circle = " -> ".join(clip(node_id) for node_id in _circle(needs, stuck))
        raise InvalidWorkflow(f"The graph's links go in a circle: {circle}.")


def _circle(needs: dict[str, list[str]], stuck: dict[str, int]) -> list[str]:
    """Nodes on one circle, first and last the same, along the data; at most a dozen of them."""
    trail: dict[str, int] = {}
    node_id = next(iter(stuck))
    while node_id not in trail:
        trail[node_id] = len(trail)
        node_id = next(feeder for feeder in needs[node_id] if feeder in stuck)
    circle = [*list(trail)[trail[node_id] :], node_id][::-1]
    return circle if len(circle) <= 12 else [*circle[:6], "...", *circle[-5:]]


def _nodes_of(value: object) -> dict[Any, Any]:
    found = unwrap(value)
    if found is not None:
        value = found.graph
    if not isinstance(value, dict):
        raise InvalidWorkflow(f"The workflow is {describe(value)}; it must be {API_FORMAT}.")
    if {"nodes", "links"} <= value.keys() and not isinstance(value["nodes"], list):
        nodes = describe(value["nodes"])
        raise InvalidWorkflow(
            f"The workflow is a file of ComfyUI's editor whose nodes is {nodes}; it must be a list."
        )
    if not value:
        raise InvalidWorkflow(f"The workflow is empty; it must be {API_FORMAT}.")
    return value


def _check_size(graph: dict[str, Any]) -> None:
    if len(graph) > MOST_NODES:
        raise InvalidWorkflow(f"The workflow has {len(graph)} nodes; at most {MOST_NODES} are accepted.")
    inputs = (node.get("inputs") for node in graph.values() if isinstance(node, dict))
    count = sum(len(each) for each in inputs if isinstance(each, dict))
    if count > MOST_INPUTS:
        raise InvalidWorkflow(f"The workflow's nodes have {count} inputs; at most {MOST_INPUTS} are accepted.")


def _node_id(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int) and not isinstance(key, bool) and abs(key) < LARGEST_ID:
        return str(key)
    raise InvalidWorkflow(f"A node's id is {describe(key)}; it must be a text.")


def _check_node(node_id: str, node: object) -> dict[str, Any]:
    where = f"Node {clip(node_id)}"
    if not isinstance(node, dict):
        raise InvalidWorkflow(f"{where} is {describe(node)}; it must be an object with class_type and inputs.")
    class_type = node.get("class_type")
    if not isinstance(class_type, str) or not class_type:
        state = f"is {describe(class_type)}" if class_type else "is missing or empty"
        raise InvalidWorkflow(f"{where}: class_type {state}; it must name a node class, such as KSampler.")
    if len(class_type) > LONGEST_CLASS:
        raise InvalidWorkflow(
            f"{where}: class_type has more than {LONGEST_CLASS} characters, more than any node class."
        )
    inputs = node.get("inputs", {})
    if not isinstance(inputs, dict):
        raise InvalidWorkflow(
            f"{_title(node_id, node)}: inputs is {describe(inputs)}; it must be an object of values by name."
        )
    checked = {key: _copy(node_id, node, key, item) for key, item in node.items() if key != "inputs"}
    if not isinstance(checked.get("_meta", {}), dict):  # a note for people; ComfyUI fails if it is not an object
        del checked["_meta"]
    checked["inputs"] = {
        name: _copy(node_id, node, f"input {name}", item)
        for name, item in inputs.items()
        if name != RUN_INPUT  # what an earlier run left, where the graph is out of a picture that the bridge made
    }
    return checked


def _copy(node_id: str, node: dict[str, Any], name: str, value: object) -> Any:
    try:
        return copy_value(value)
    except ValueError as error:
        raise InvalidWorkflow(f"{_title(node_id, node)}: {clip(name)} {error}.") from None


def _title(node_id: str, node: dict[str, Any]) -> str:
    return f"Node {clip(node_id)} ({clip(node['class_type'])})"
