"""The files that a graph takes: pictures, masks, videos and sounds, by the nodes that load them."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Literal

from comfybridge.workflow.links import Walked, before, follow, links
from comfybridge.workflow.names import plain, word_set, words
from comfybridge.workflow.parameters import Target, Type
from comfybridge.workflow.roles import Fed, Role, place_in_row, role_in_title, role_of

FileKind = Literal["image", "mask", "video", "audio"]
MOST_FILES = 50
LONGEST = 200  # characters of a name that are looked at, and kept: names come from callers, and may have megabytes
LONGEST_FILE = 4096  # characters of a path
LOADER = "LoadImage"
MASK_SLOT = 1  # LoadImage's second output, nodes.py: the alpha channel

_NAMES: dict[FileKind, tuple[str, ...]] = {
    "image": (
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
    ),
    "video": ("video", "file", "video_file", "video_path", "video_name", "path", "url"),
    "audio": ("audio", "audio_file", "audio_path", "audio_name", "file", "path", "url"),
}
_LOADS = frozenset(("load", "loader", "url"))
_KINDS: dict[str, FileKind] = {
    "image": "image",
    "picture": "image",
    "mask": "mask",
    "video": "video",
    "audio": "audio",
    "sound": "audio",
}
_MEDIA = word_set("image images picture mask video audio sound frame")
# a file that a node holds itself, as one with a canvas does
_FILE = re.compile(
    r"[^\n]+\.(?:png|jpe?g|webp|gif|bmp|mp4|webm|mov|mkv|avi|wav|mp3|flac|ogg|opus|m4a)(?: \[input\])?$",
    re.IGNORECASE,
)


def find_files(graph: Walked, makers: Collection[str] = ()) -> dict[str, list[Target]]:
    """The inputs that name files, as parameters.

    The only picture is `image`, the only video `video`, and so on. Several that serve the same are numbered: `image`,
    `image_2`. Where they serve different ends, each is named after its own: `start_image`, `control_video`.
    Loaders that get their name from one node are one parameter. A loader that feeds nothing is not one.

    Args:
        makers: the nodes that make the result; what they get comes before what they don't.
    """
    loaders = [(node, held) for node in graph for held in _held(graph, node)]
    if not loaders:
        return {}
    fed = _fed(graph)
    found: dict[Target, tuple[FileKind, str]] = {}
    for node, (name, kind) in loaders:
        if node not in fed or node in graph.dead:
            continue
        target = follow(graph, node, name, "string")
        if target is not None:
            found.setdefault(target, (_mask_or(kind, graph, node, fed[node]), node))
        if len(found) == MOST_FILES:
            break
    if len(found) == 1:
        ((target, (kind, node)),) = found.items()
        # the only one is a picture, though no more than its alpha channel is used
        return {"image" if graph[node]["class_type"] == LOADER else kind: [target]}
    used = before(graph, makers)
    in_order = sorted(found, key=lambda target: found[target][1] not in used)
    named: dict[str, list[Target]] = {}
    for kind in dict.fromkeys(kind for kind, _ in found.values()):
        of_kind = {target: found[target][1] for target in in_order if found[target][0] == kind}
        named.update(_named(graph, fed, kind, of_kind))
    return named


def type_of(name: str) -> Type:
    """The type of a parameter found here, by its name: `start_image` is an image, and so is a mask."""
    kind: FileKind = next((_KINDS[word] for word in words(name) if word in _KINDS), "image")
    return "image" if kind == "mask" else kind


def _named(graph: Walked, fed: Fed, kind: FileKind, loaders: dict[Target, str]) -> dict[str, list[Target]]:
    """The files of one kind by their names, those of a row in its order."""
    if len(loaders) == 1:
        return {kind: list(loaders)}
    rows = {target: place_in_row(graph, fed, node) for target, node in loaders.items()}
    first = {row: at for at, (row, _) in reversed(list(enumerate(rows.values())))}
    in_order = sorted(loaders, key=lambda target: (first[rows[target][0]], rows[target][1]))
    roles = _roles(graph, fed, {target: loaders[target] for target in in_order}, rows)
    is_one = len(set(roles.values())) == 1
    named: dict[str, list[Target]] = {}
    for target, role in roles.items():
        name = kind if is_one or role is None else f"{role}_{kind}"
        number = 1 + sum(each == name or each.startswith(f"{name}_") for each in named)
        named[name if number == 1 else f"{name}_{number}"] = [target]
    return named


def _roles(
    graph: Walked, fed: Fed, loaders: dict[Target, str], rows: dict[Target, tuple[str, int]]
) -> dict[Target, Role | None]:
    """What each file is for; by titles only where nothing else tells them apart."""
    roles = {target: role_of(graph, fed, node) for target, node in loaders.items()}
    if len(set(roles.values())) == 1:
        titled = {target: role_in_title(graph, node) for target, node in loaders.items()}
        is_row = any(rows[target][0] != node for target, node in loaders.items())
        if not is_row or (all(titled.values()) and len(set(titled.values())) == len(titled)):
            roles = titled if any(titled.values()) else roles
    plain = [target for target, role in roles.items() if role is None]
    if len(plain) == 1 and "end" in roles.values() and "start" not in roles.values():
        roles[plain[0]] = "start"  # such as `image` beside `last_frame`
    return roles


def _held(graph: Walked, node: str) -> list[tuple[str, FileKind]]:
    """The inputs of a node that name files, with their kinds."""
    inputs = graph[node]["inputs"]
    kind = _loaded(graph[node]["class_type"][:LONGEST])
    if kind is not None:
        name = next((name for name in _NAMES["image" if kind == "mask" else kind] if name in inputs), None)
        return [(name, kind)] if name else []
    return [
        (name, held)
        for name, value in inputs.items()
        if isinstance(value, str)
        and len(value) < LONGEST_FILE
        and (held := _kind_of_input(name[:LONGEST])) is not None
        # a canvas that nobody has painted on yet holds an empty text
        and (_FILE.match(value) or (not value and held == "mask"))
    ]


@lru_cache(maxsize=4096)
def _loaded(class_type: str) -> FileKind | None:
    """What a class of nodes loads, if it loads a file."""
    found = words(class_type)
    kind = next((_KINDS[word] for word in found if word in _KINDS), None)
    loads = not _LOADS.isdisjoint(found) or {"base", "64"} <= set(found)
    return ("mask" if kind == "image" and "mask" in found else kind) if loads else None


@lru_cache(maxsize=4096)
def _kind_of_input(name: str) -> FileKind | None:
    found = words(plain(name))
    if _MEDIA.isdisjoint(found) or "prefix" in found:
        return None
    return next((_KINDS[word] for word in reversed(found) if word in _KINDS), "image")


def _fed(graph: Walked) -> Fed:
    """What each node feeds that something is made of: the slot of its output, and the input that gets it."""
    fed: Fed = {}
    for node in graph:
        if node not in graph.dead:
            for name, (origin, slot) in links(graph, node).items():
                fed.setdefault(origin, []).append((slot, node, name))
    return fed


def _mask_or(kind: FileKind, graph: Walked, node: str, fed: list[tuple[int, str, str]]) -> FileKind:
    """A mask, where nothing but a mask is made of a picture."""
    if kind != "image":
        return kind
    is_loader = graph[node]["class_type"] == LOADER
    # as its alpha channel, or through a node that makes a mask of a picture, such as ImageToMask
    into_masks = (
        (is_loader and slot == MASK_SLOT) or ("mask" in words(graph[by]["class_type"]) and len(links(graph, by)) == 1)
        for slot, by, _ in fed
    )
    return "mask" if all(into_masks) else kind
