"""What a template reads as its mask: which channel of the file, and whether that says repaint or keep."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Literal, cast

from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.parameters import Parameter, Target

# alpha: transparent pixels are repainted; opaque: opaque ones; red, green, blue: those where this channel is white;
# black: those where the colour is black; in_image: the transparent ones of the file of `image`, as there is no `mask`
MaskForm = Literal["alpha", "opaque", "red", "green", "blue", "black", "in_image"]
CHANNELS = ("red", "green", "blue")

LOADER, MASK_SLOT = "LoadImage", 1  # nodes.py: the second output is 1 - alpha
MASK_LOADER = "LoadImageMask"  # nodes.py: `alpha` is 1 - alpha, the others are as they are
INVERTER = "InvertMask"  # nodes_mask.py
# classes of nodes that repaint by a mask, as comfy_extras and ComfyUI's API nodes call them
_REPAINTERS = re.compile(r"SetLatentNoiseMask|inpaint|OpenAI", re.IGNORECASE)
MOST_FOLLOWED = 200

# node, and the outputs that have users: (slot, the node that uses it)
_Users = dict[str, list[tuple[int, str]]]


def mask_form(graph: Graph, parameters: Mapping[str, Parameter]) -> MaskForm | None:
    """How the file of the parameter `mask` is read; None without such a parameter and without its equivalent."""
    users = _users(graph)
    if "mask" in parameters:
        return _form(graph, users, parameters["mask"].targets[0])
    image = parameters.get("image")
    for target in () if image is None else image.targets:
        if graph[target.node]["class_type"] == LOADER and _inversions(graph, users, target.node, MASK_SLOT) == 0:
            return "in_image"
    return None


def _form(graph: Graph, users: _Users, target: Target) -> MaskForm:
    node, class_type = target.node, graph[target.node]["class_type"]
    channel, slot = "red", None
    if class_type == MASK_LOADER:
        channel = graph[node]["inputs"].get("channel")
    elif class_type == LOADER and any(slot == MASK_SLOT for slot, _ in users.get(node, ())):
        channel, slot = "alpha", MASK_SLOT
    elif class_type == LOADER:
        makers = [graph[user]["inputs"] for _, user in users.get(node, ())]
        channel = next((inputs["channel"] for inputs in makers if inputs.get("channel") in CHANNELS), "red")
    is_inverted = bool((_inversions(graph, users, node, slot) or 0) % 2)
    if channel == "alpha":
        return "opaque" if is_inverted else "alpha"
    if is_inverted:
        return "black"
    return cast(MaskForm, channel) if channel in CHANNELS else "red"


def _inversions(graph: Graph, users: _Users, start: str, slot: int | None) -> int | None:
    """How often a mask is inverted on its shortest way to a node that repaints by it; None if it comes to none.

    Args:
        slot: the output that it leaves the first node by; None: any.
    """
    ahead = deque((user, 0) for at, user in users.get(start, ()) if slot in (None, at))
    seen = {start}
    while ahead and len(seen) < MOST_FOLLOWED:
        node, count = ahead.popleft()
        if node in seen:
            continue
        seen.add(node)
        class_type = graph[node]["class_type"]
        if _REPAINTERS.search(class_type):
            return count
        ahead.extend((user, count + (class_type == INVERTER)) for _, user in users.get(node, ()))
    return None


def _users(graph: Graph) -> _Users:
    users: _Users = {}
    for name, node in graph.items():
        for value in node["inputs"].values():
            if is_link(value):
                users.setdefault(str(value[0]), []).append((int(value[1]), name))
    return users
