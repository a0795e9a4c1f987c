"""Names nodes in error messages about a file."""

from __future__ import annotations

from collections.abc import Sequence

from comfybridge.workflow.editor.saved import Node
from comfybridge.workflow.wording import clip, listed

_CORE = "comfy-core"


def named(node: Node, node_id: str = "") -> str:
    """A node by its id, its title and its type.

    Args:
        node_id: its id in the prompt, if that differs from the one in the file.
    """
    title = f'"{clip(node.title)}", ' if node.title and node.title != node.type else ""
    return f"Node {clip(node_id or node.id)} ({title}{clip(node.type)})"


def unknown_types(nodes: Sequence[tuple[Node, str]]) -> str:
    """The message that the server does not have the types of some nodes.

    Args:
        nodes: at least one, each with its id in the prompt.
    """
    node, node_id = nodes[0]
    sentence = f"{named(node, node_id)} is of a type that this ComfyUI does not have{_pack(node)}"
    others = {each.type: None for each, _ in nodes if each.type != node.type}
    more = f"; nor does it have {listed(others)}" if others else ""
    return f"{sentence}{more}."


def _pack(node: Node) -> str:
    """The origin of a node, from its properties."""
    for name in ("cnr_id", "aux_id"):
        pack = node.properties.get(name)
        if isinstance(pack, str) and pack:
            return "; it is from another version of ComfyUI" if pack == _CORE else f"; its pack is {clip(pack)}"
    return ""
