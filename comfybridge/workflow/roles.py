"""What a loaded file is for: the frame to start with, what controls the shape, the style to take over."""

from __future__ import annotations

from collections import deque
from typing import Literal

from comfybridge.workflow.links import Walked
from comfybridge.workflow.names import is_encoded_text, plain, side, word_set, words

Role = Literal["start", "end", "control", "pose", "style", "reference", "front", "back", "left", "right"]
Place = tuple[str, int]
# what each node feeds: the slot of its output, the node that gets it, and the name of the input
Fed = dict[str, list[tuple[int, str, str]]]

MOST_VISITS = 200  # of the nodes that something is made of with a file
# words that mean a picture's part only beside a word for a picture, or alone
_PLACES: dict[Role, frozenset[str]] = {
    "start": word_set("start first begin initial"),
    "end": word_set("end last tail final"),
    "front": word_set("front"),
    "back": word_set("back"),
    "left": word_set("left"),
    "right": word_set("right"),
}
_WORDS: dict[Role, frozenset[str]] = {
    "pose": word_set("pose openpose dwpose skeleton keypoints kps"),
    "control": word_set("control hint controlnet canny depth lineart scribble preprocessor"),
    "style": word_set("style redux"),
    "reference": word_set("reference references ref refs subject character face ipadapter pulid instantid"),
}
_FRAMES = word_set("image images img frame frames picture video latent")
_CLASSES: dict[Role, frozenset[str]] = {
    **_WORDS,
    "reference": word_set("reference ipadapter pulid instantid"),
}
# what takes a picture and hands on no picture of it
_ENDS = word_set("size info count compare")


def role_of(graph: Walked, fed: Fed, node: str) -> Role | None:
    """What a loader's file is for, by the nearest input or node that tells.

    None for one that something is made of itself, and where nothing tells, or two tell otherwise.
    """
    seen = {node}
    nearest = [node]
    while nearest and len(seen) <= MOST_VISITS:
        edges = [(by, name) for each in nearest for _, by, name in fed.get(each, ()) if not _is_end(graph, by)]
        told = {by: _at(graph, by, name) for by, name in edges}
        roles = {role for role in told.values() if role is not None}
        if roles or any(_makes(graph, by) for by in told):
            return roles.pop() if len(roles) == 1 else None
        nearest = [by for by in told if by not in seen]
        seen.update(nearest)
    return None


def role_in_title(graph: Walked, node: str) -> Role | None:
    """What a loader's file is for by the loader's title."""
    return _in_name(graph.authored.title(node))


def place_in_row(graph: Walked, fed: Fed, node: str) -> Place:
    """The node that takes a file as one of a row, such as `image_1`, and its number there; else its own loader."""
    seen = {node}
    waiting = deque([node])
    while waiting and len(seen) <= MOST_VISITS:
        for _, by, name in fed.get(waiting.popleft(), ()):
            number = _number(name)
            if number is not None:
                return by, number
            if by not in seen and not _makes(graph, by):
                seen.add(by)
                waiting.append(by)
    return node, 0


def _at(graph: Walked, node: str, name: str) -> Role | None:
    """What an input is for, by its name, by the number of the frame beside it, or by its node's class."""
    parts = name.split(".")
    role = _in_name(parts[-1]) or _in_name(parts[-2] if len(parts) > 1 else "")  # `reference_images.image0`
    if role is not None:
        return role
    frame = graph[node]["inputs"].get("frame_idx")
    if isinstance(frame, int) and frame in (0, -1):
        return "end" if frame else "start"
    return None if _makes(graph, node) else _in_class(graph[node]["class_type"])


def _in_name(name: str) -> Role | None:
    found = frozenset(words(name))
    for role, said in _PLACES.items():
        if said & found and (_FRAMES & found or len(found) == 1):
            return role
    return next((role for role, said in _WORDS.items() if said & found), None)


def _in_class(class_type: str) -> Role | None:
    found = frozenset(words(class_type))
    if {"control", "net"} <= found:
        return "control"
    return next((role for role, said in _CLASSES.items() if said & found), None)


def _is_end(graph: Walked, node: str) -> bool:
    return not _ENDS.isdisjoint(words(graph[node]["class_type"]))


def _makes(graph: Walked, node: str) -> bool:
    """Whether a node makes something of a file and a prompt, so that a file that it takes is the one to change."""
    return any(side(name) is not None or is_encoded_text(name) for name in graph[node]["inputs"])


def _number(name: str) -> int | None:
    last = words(plain(name))[-1:]
    return int(last[0]) if last and last[0].isdecimal() and len(last[0]) < 6 else None
