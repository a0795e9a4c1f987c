"""Names nodes in error messages about a file."""

from __future__ import annotations

from collections.abc import Sequence

from comfybridge.workflow.editor.additions import is_group_node
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
    if is_group_node(node.type):
        return f"{named(node, node_id)} is a group node, and the workflow does not hold its content."
    sentence = f"{named(node, node_id)} is of a type that this ComfyUI does not have{_origin(_pack(node))}"
    packs: dict[str, str] = {}
    for each, _ in nodes:
        if each.type != node.type and not packs.get(each.type):
            packs[each.type] = _pack(each)
    others = [f"{name} ({pack})" if pack not in ("", _CORE) else name for name, pack in packs.items()]
    more = f"; nor does it have {listed(others)}" if others else ""
    return f"{sentence}{more}."


def _origin(pack: str) -> str:
    if not pack:
        return ""
    return "; it is from another version of ComfyUI" if pack == _CORE else f"; its pack is {clip(pack)}"


def _pack(node: Node) -> str:
    """The pack of a node, from its properties; empty if they do not tell."""
    packs = (node.properties.get(name) for name in ("cnr_id", "aux_id"))
    return next((pack for pack in packs if isinstance(pack, str) and pack), "")
