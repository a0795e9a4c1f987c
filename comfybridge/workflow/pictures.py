"""The input pictures of a graph: its loaders, and whether each brings an image or a mask."""

from __future__ import annotations

from comfybridge.workflow.links import Walked, follow, links, literal_value
from comfybridge.workflow.names import words
from comfybridge.workflow.parameters import Target

MOST_PICTURES = 50
IMAGE, MASK = "image", "mask"
NAMES = ("image", "image_name", "image_file", "picture")
LOADER = "LoadImage"
MASK_SLOT = 1  # LoadImage's second output, nodes.py: the alpha channel


def find_pictures(graph: Walked) -> dict[str, list[Target]]:
    """The inputs that name pictures, as parameters: `image`, `image_2`, ..., `mask`, ... in the graph's order.

    Loaders that name the same file for the same role are one parameter. A loader that feeds nothing is none.
    """
    used = _used_slots(graph)
    found: dict[tuple[str, object], list[Target]] = {}
    for node in graph:
        if node not in used or not _is_loader(graph, node):
            continue
        name = next((name for name in NAMES if name in graph[node]["inputs"]), None)
        target = follow(graph, node, name, "string") if name else None
        if target is not None:
            role = _role(graph, node, used[node])
            targets = found.setdefault((role, literal_value(graph, target)), [])
            if target not in targets:
                targets.append(target)
        if len(found) == MOST_PICTURES:
            break
    named: dict[str, list[Target]] = {}
    for (role, _), targets in found.items():
        if len(found) == 1 and graph[targets[0].node]["class_type"] == LOADER:
            role = IMAGE  # the only one, though no more than its alpha channel is used
        number = 1 + sum(name.partition("_")[0] == role for name in named)
        named[role if number == 1 else f"{role}_{number}"] = targets
    return named


def _used_slots(graph: Walked) -> dict[str, set[int]]:
    """Which outputs of which nodes something gets."""
    used: dict[str, set[int]] = {}
    for node in graph:
        for origin, slot in links(graph, node).values():
            used.setdefault(origin, set()).add(slot)
    return used


def _is_loader(graph: Walked, node: str) -> bool:
    found = set(words(graph[node]["class_type"]))
    return "load" in found and "image" in found


def _role(graph: Walked, node: str, slots: set[int]) -> str:
    class_type = graph[node]["class_type"]
    only_mask = class_type == LOADER and slots == {MASK_SLOT}
    return MASK if only_mask or "mask" in words(class_type) else IMAGE
