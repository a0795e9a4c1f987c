"""The input pictures of a graph: its loaders, and whether each brings an image or a mask."""

from __future__ import annotations

from comfybridge.workflow.links import Source, Walked, follow, links
from comfybridge.workflow.names import words
from comfybridge.workflow.parameters import Target

MOST_PICTURES = 50
IMAGE, MASK = "image", "mask"
NAMES = (
    "image",
    "image_name",
    "image_file",
    "picture",
    "image_path",
    "base64_data",
    "base64_string",
    "base64",
    "url",
    "mask",
)
_LOADS = frozenset(("load", "loader", "url"))
LOADER = "LoadImage"
MASK_SLOT = 1  # LoadImage's second output, nodes.py: the alpha channel


def find_pictures(graph: Walked) -> dict[str, list[Target]]:
    """The inputs that name pictures, as parameters: `image`, `image_2`, ..., `mask`, ... in the graph's order.

    Loaders that get their name from one node are one parameter. A loader that feeds nothing is not one.
    """
    fed = _fed(graph)
    found: dict[Target, str] = {}
    for node in graph:
        name = next((name for name in NAMES if name in graph[node]["inputs"]), None)
        if name is None or node not in fed or node in graph.dead or not _is_loader(graph, node):
            continue
        target = follow(graph, node, name, "string")
        if target is not None:
            found.setdefault(target, _role(graph, node, fed[node]))
        if len(found) == MOST_PICTURES:
            break
    named: dict[str, list[Target]] = {}
    for target, role in found.items():
        if len(found) == 1 and graph[target.node]["class_type"] == LOADER:
            role = IMAGE  # the only one, though no more than its alpha channel is used
        number = 1 + sum(name.partition("_")[0] == role for name in named)
        named[role if number == 1 else f"{role}_{number}"] = [target]
    return named


def _fed(graph: Walked) -> dict[str, list[tuple[int, str]]]:
    """What each node feeds that something is made of: the slot of its output, and the node that gets it."""
    fed: dict[str, list[tuple[int, str]]] = {}
    for node in (node for node in graph if node not in graph.dead):
        source: Source
        for source in links(graph, node).values():
            fed.setdefault(source[0], []).append((source[1], node))
    return fed


def _is_loader(graph: Walked, node: str) -> bool:
    found = set(words(graph[node]["class_type"]))
    return bool({"image", "mask"} & found) and (bool(_LOADS & found) or {"base", "64"} <= found)


def _role(graph: Walked, node: str, fed: list[tuple[int, str]]) -> str:
    class_type = graph[node]["class_type"]
    if "mask" in words(class_type):
        return MASK
    # as its alpha channel, or through a node that makes a mask of a picture, such as ImageToMask
    into_masks = (
        (class_type == LOADER and slot == MASK_SLOT)
        or ("mask" in words(graph[by]["class_type"]) and len(links(graph, by)) == 1)
        for slot, by in fed
    )
    return MASK if all(into_masks) else IMAGE
