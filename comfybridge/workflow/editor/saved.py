"""Reads the graphs in a file of the editor into checked objects: nodes and links.

The links of a graph are lists, or objects in newer files and inside subgraphs. Ids are numbers or texts in the file,
and texts here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor import javascript
from comfybridge.workflow.wording import clip, describe

ENTRANCE, EXIT = "-10", "-20"  # a subgraph's own inputs and outputs, as the ends of links inside it
_SMALL = 2**31  # most ids are smaller, and need no conversion
ALWAYS, MUTED, BYPASSED = 0, 2, 4  # a node's mode; with any other mode, a node is sent as well


@dataclass(slots=True)
class Link:
    """A line from an output to an input."""

    id: str
    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a node.

    Attributes:
        kind: the type that it takes.
        link: the id of the link that ends here, if one does.
        widget: the name of its widget, if it has one.
        label: the author's own name for it.
    """

    name: str
    kind: str
    link: str | None = None
    widget: str | None = None
    label: str | None = None


@dataclass(slots=True)
class Node:
    """A node in the file."""

    id: str
    type: str
    title: str | None = None
    mode: int = ALWAYS
    inputs: list[Input] = field(default_factory=list)
    output_kinds: list[str] = field(default_factory=list)
    values: list[Any] | dict[str, Any] = field(default_factory=list)
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_sent(self) -> bool:
        """Whether it is sent: neither muted nor bypassed."""
        return self.mode not in (MUTED, BYPASSED)


@dataclass(frozen=True, slots=True)
class Boundary:
    """An input or an output of a subgraph, with its links inside."""

    name: str
    kind: str
    links: tuple[str, ...]
    label: str | None = None


@dataclass(slots=True)
class Graph:
    """The nodes and links of a file, or of the definition of a subgraph.

    Attributes:
        repeated: an id that several nodes share, if any; the first of these nodes counts.
    """

    nodes: dict[str, Node]
    links: dict[str, Link]
    id: str = ""
    name: str = ""
    inputs: list[Boundary] = field(default_factory=list)
    outputs: list[Boundary] = field(default_factory=list)
    repeated: str | None = None


def read_graph(value: Mapping[str, Any], where: str) -> Graph:
    """Read the file's own graph, or a definition's.

    Args:
        where: names it in a sentence, as in "the workflow".

    Raises:
        InvalidWorkflow: a part of it is malformed.
    """
    nodes: dict[str, Node] = {}
    repeated = None
    for each in _objects(value.get("nodes"), f"{where}: nodes"):
        node = _node(each, where)
        if nodes.setdefault(node.id, node) is not node:
            repeated = node.id
    links: dict[str, Link] = {}
    for link in _links(value.get("links"), where):
        links.setdefault(link.id, link)
    return Graph(
        nodes,
        links,
        id=_id(value.get("id")) or "",
        name=_text(value.get("name")) or "",
        inputs=[_boundary(each) for each in _objects(value.get("inputs"), f"{where}: inputs")],
        outputs=[_boundary(each) for each in _objects(value.get("outputs"), f"{where}: outputs")],
        repeated=repeated,
    )


def objects_in(value: object, name: str) -> list[Any]:
    """The list that a mapping has under a name; empty if there is none."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def _node(value: Mapping[str, Any], where: str) -> Node:
    node_id = _id(value.get("id"))
    if node_id is None:
        raise InvalidWorkflow(f"{where}: the id of a node is {describe(value.get('id'))}; it must be a number.")
    here = f"{where}: node {clip(node_id)}"
    kind = value.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidWorkflow(f"{here} has no type.")
    values = value.get("widgets_values")
    properties = value.get("properties")
    return Node(
        node_id,
        kind,
        title=_text(value.get("title")) or None,
        mode=_slot(value.get("mode")),
        inputs=[_input(each, here) for each in _objects(value.get("inputs"), f"{here}: inputs")],
        output_kinds=[_kind(each.get("type")) for each in _objects(value.get("outputs"), f"{here}: outputs")],
        values=values if isinstance(values, (list, dict)) else [],
        properties=properties if isinstance(properties, Mapping) else {},
    )


def _input(value: Mapping[str, Any], here: str) -> Input:
    name = value.get("name")
    if not isinstance(name, str):
        raise InvalidWorkflow(f"{here}: the name of an input is {describe(name)}; it must be a text.")
    widget = value.get("widget")
    return Input(
        name,
        _kind(value.get("type")),
        link=_id(value.get("link")),
        widget=_text(widget.get("name")) if isinstance(widget, Mapping) else None,
        label=_text(value.get("label")),
    )


def _boundary(value: Mapping[str, Any]) -> Boundary:
    links = (_id(each) for each in objects_in(value, "linkIds"))
    return Boundary(
        _text(value.get("name")) or "",
        _kind(value.get("type")),
        tuple(each for each in links if each is not None),
        label=_text(value.get("label")),
    )


def _links(value: object, where: str) -> Iterator[Link]:
    if value is None:
        return
    if not isinstance(value, list):
        raise InvalidWorkflow(f"{where}: links is {describe(value)}; it must be a list.")
    for each in value:
        if each is None:
            continue
        if isinstance(each, list) and len(each) >= 5:
            ends = each[:5]
        elif isinstance(each, Mapping):
            ends = [each.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
        else:
            raise InvalidWorkflow(f"{where}: a link is {describe(each)}; it must be a list of six, or an object.")
        link_id, origin, target = _id(ends[0]), _id(ends[1]), _id(ends[3])
        if link_id is None or origin is None or target is None:
            raise InvalidWorkflow(f"{where}: a link has no id, or leads from or to no node.")
        yield Link(link_id, origin, _slot(ends[2]), target, _slot(ends[4]))


def _objects(value: object, what: str) -> Iterator[Mapping[str, Any]]:
    """The objects in a list; None counts as an empty list."""
    if value is None:
        return
    if not isinstance(value, list):
        raise InvalidWorkflow(f"{what} is {describe(value)}; it must be a list.")
    for each in value:
        if each is None:
            continue
        if not isinstance(each, Mapping):
            raise InvalidWorkflow(f"{what} holds {describe(each)}; it must hold objects.")
        yield each


def _id(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value) if isinstance(value, int) and abs(value) < _SMALL else javascript.text(value)
    return None


def _slot(value: object) -> int:
    """The value if it is a whole number, and 0 otherwise."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _kind(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # old files have the choices themselves here
        return "COMBO"
    return "*"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
