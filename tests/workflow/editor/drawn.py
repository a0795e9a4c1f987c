"""Small files, as the editor would save them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Node = dict[str, Any]


def node(node_id: int, kind: str, values: Any = None, inputs: Any = (), **more: Any) -> Node:
    """A node; an input is its name, its type, its link, and the widget that it stands for, if it does."""
    made = {"id": node_id, "type": kind, "inputs": [_input(*each) for each in inputs], **more}
    return made if values is None else {**made, "widgets_values": values}


def file(nodes: Iterable[Node], links: Iterable[Any] = (), subgraphs: Iterable[Any] = (), **more: Any) -> Any:
    """A file; a link is its id, the node and the output that it comes from, and the node that it goes to."""
    return {
        "nodes": list(nodes),
        "links": [[link_id, origin, slot, target, 0, "*"] for link_id, origin, slot, target in links],
        "definitions": {"subgraphs": list(subgraphs)},
        **more,
    }


def subgraph(
    name: str, nodes: Iterable[Node], links: Iterable[Any] = (), inputs: Any = (), outputs: Any = ()
) -> dict[str, Any]:
    """A definition; an input or output is its name, its type, and its links inside."""
    return {
        "id": name,
        "name": name,
        "nodes": list(nodes),
        "links": [[link_id, origin, slot, target, 0, "*"] for link_id, origin, slot, target in links],
        "inputs": [{"name": label, "type": kind, "linkIds": ids} for label, kind, ids in inputs],
        "outputs": [{"name": label, "type": kind, "linkIds": ids} for label, kind, ids in outputs],
    }


def _input(name: str, kind: str, link: Any, widget: str | None = None) -> dict[str, Any]:
    made = {"name": name, "type": kind, "link": link}
    return made if widget is None else {**made, "widget": {"name": widget}}


def empty_image(node_id: int, **more: Any) -> Node:
    """A node that makes a picture of nothing."""
    return node(node_id, "EmptyImage", [64, 64, 1, 0], **more)


def invert(node_id: int, link: Any, **more: Any) -> Node:
    """A node from picture to picture."""
    outputs = [{"name": "IMAGE", "type": "IMAGE"}]
    return node(node_id, "ImageInvert", None, [("image", "IMAGE", link)], outputs=outputs, **more)


def save_image(node_id: int, link: Any, prefix: str = "out", **more: Any) -> Node:
    """A node that saves a picture."""
    return node(node_id, "SaveImage", [prefix], [("images", "IMAGE", link)], **more)
