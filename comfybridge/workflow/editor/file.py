"""Reads a whole file of the editor: its own graph, and the definitions of its subgraphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.json_size import MOST_VALUES
from comfybridge.workflow.editor.additions import VIRTUAL, is_group_node
from comfybridge.workflow.editor.classes import NodeClasses
from comfybridge.workflow.editor.group_nodes import replace_group_nodes
from comfybridge.workflow.editor.layout import DEEPEST
from comfybridge.workflow.editor.saved import Graph, Node, objects_in, read_graph
from comfybridge.workflow.editor.unique_ids import make_unique
from comfybridge.workflow.graph import MOST_NODES
from comfybridge.workflow.wording import clip, describe

_TEXT = 100  # characters that take as long to process as one value


@dataclass
class File:
    """The content of a file."""

    root: Graph
    definitions: dict[str, Graph]


def read_file(value: object, classes: NodeClasses) -> File:
    """Read a file, with each id unique and no group nodes left.

    Raises:
        InvalidWorkflow: what is wrong with it.
    """
    if not isinstance(value, Mapping):
        raise InvalidWorkflow(f"The workflow is {describe(value)}; it must be an object with nodes and links.")
    if not isinstance(value.get("nodes"), list):
        raise InvalidWorkflow("The workflow has no list of nodes; it is not a file of ComfyUI's editor.")
    _check_size(value)
    root = read_graph(value, "The workflow")
    if root.repeated:
        raise InvalidWorkflow(f"The workflow has two nodes with the id {clip(root.repeated)}.")
    definitions: dict[str, Graph] = {}
    for each in _definitions(value):
        definition = read_graph(each, f"Subgraph {clip(each.get('name') or each.get('id'))}")
        if not definition.id:
            raise InvalidWorkflow(f"Subgraph {clip(definition.name)} has no id.")
        definitions.setdefault(definition.id, definition)
    last = value.get("last_node_id", value.get("state", {}).get("lastNodeId") if _has_state(value) else 0)
    ids = make_unique(root, list(definitions.values()), last if _is_id(last) else 0)
    extra = value.get("extra")
    groups = extra.get("groupNodes") if isinstance(extra, Mapping) else None
    if isinstance(groups, Mapping):
        definitions.update(replace_group_nodes([root, *definitions.values()], groups, ids, classes))
    file = File(root, definitions)
    _check_nesting(file)
    return file


def types_in(value: object) -> frozenset[str]:
    """The types of all nodes in a file that a server can have: no subgraphs, and no nodes that only the editor has.

    Raises:
        InvalidWorkflow: it is not a file of the editor.
    """
    if not isinstance(value, Mapping):
        raise InvalidWorkflow(f"The workflow is {describe(value)}; it must be an object with nodes and links.")
    definitions = _definitions(value)
    extra = value.get("extra")
    groups = extra.get("groupNodes") if isinstance(extra, Mapping) else None
    holders = [value, *definitions, *(groups.values() if isinstance(groups, Mapping) else ())]
    nodes = (node for each in holders for node in objects_in(each, "nodes") if isinstance(node, Mapping))
    names = (node.get("type") for node in nodes)
    own = [each.get("id") for each in definitions]
    subgraphs = {name for name in own if isinstance(name, str)}
    found = {name for name in names if isinstance(name, str) and not is_group_node(name)}
    return frozenset(found - subgraphs - VIRTUAL)


def _has_state(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("state"), Mapping)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _definitions(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All definitions, each before those nested in it."""
    found = []
    pending = [*reversed(_inner(value))]
    while pending:
        definition = pending.pop()
        found.append(definition)
        pending.extend(reversed(_inner(definition)))
    return found


def _inner(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = objects_in(value.get("definitions"), "subgraphs")
    for each in inner:
        if not isinstance(each, Mapping):
            raise InvalidWorkflow(f"A subgraph is {describe(each)}; it must be an object.")
    return inner


def _check_size(value: Mapping[str, Any]) -> None:
    count = sum(len(objects_in(each, "nodes")) for each in (value, *_definitions(value)))
    if count > MOST_NODES:
        raise InvalidWorkflow(f"The workflow has {count} nodes; at most {MOST_NODES} are accepted.")


def _check_nesting(file: File) -> None:
    """Refuse subgraphs that contain themselves, nesting that is too deep, and too many nodes."""
    holds = {
        key: [node.type for node in graph.nodes.values() if node.type in file.definitions]
        for key, graph in {"": file.root, **file.definitions}.items()
    }
    sizes: dict[str, int] = {}  # nodes, including all nested ones
    weights: dict[str, int] = {}  # inputs and values of these nodes
    depths: dict[str, int] = {}
    trail: list[str] = [""]
    on_trail = {""}
    pending = [iter(holds[""])]
    while trail:
        name = trail[-1]
        inner = next(pending[-1], None)
        if inner is None:
            trail.pop()
            pending.pop()
            on_trail.discard(name)
            graph = file.definitions[name] if name else file.root
            sizes[name] = len(graph.nodes) + sum(sizes[each] for each in holds[name])
            depths[name] = 1 + max((depths[each] for each in holds[name]), default=0)
            if depths[name] > DEEPEST + 1:
                raise InvalidWorkflow(f"The workflow's subgraphs are nested more than {DEEPEST} levels deep.")
            weights[name] = sum(_weight(node, file) for node in graph.nodes.values())
            weights[name] += sum(weights[each] for each in holds[name])
            if weights[name] > MOST_VALUES:
                raise InvalidWorkflow(
                    f"The workflow's nodes have more than {MOST_VALUES} inputs and values, counting those of each "
                    "subgraph as often as it is used; no workflow needs so many."
                )
            if sizes[name] > MOST_NODES:
                raise InvalidWorkflow(
                    f"The workflow has more than {MOST_NODES} nodes, counting those of each subgraph as often as it "
                    f"is used; at most {MOST_NODES} are accepted."
                )
        elif inner in on_trail:
            raise InvalidWorkflow(f"Subgraph {clip(file.definitions[inner].name or inner)} holds itself.")
        elif inner not in sizes:
            trail.append(inner)
            on_trail.add(inner)
            pending.append(iter(holds[inner]))


def _weight(node: Node, file: File) -> int:
    """The size of a node: its inputs and values; long texts count more."""
    definition = file.definitions.get(node.type)
    count = len(node.inputs) + (0 if definition is None else len(definition.inputs))
    pending: list[Any] = [node.values]
    while pending:
        value = pending.pop()
        if isinstance(value, (list, dict)):
            count += len(value)
            pending.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, str):
            count += len(value) // _TEXT
    return count
