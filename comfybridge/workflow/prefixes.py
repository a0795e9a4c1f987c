"""File name prefixes under which every ComfyUI can save files and hand them out.

ComfyUI finds out only when a graph has run that it can't save under a prefix; and it saves files with two dots or a
line break in their names, but `/view` refuses to serve them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from comfybridge.workflow.folders import PREFIX_INPUT, UNNAMED
from comfybridge.workflow.graph import Graph, is_link

# File systems take names of 255 bytes; ComfyUI adds a number and an ending to the last one.
LONGEST_NAME = 230

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_DOTS = re.compile(r"\.{2,}")
_DRIVE = re.compile(r"[A-Za-z]:/")
# what a saver puts behind its prefix: a number, and an ending
_ADDED = re.compile(r"(?:_\d+_?)?(?:\.\w{1,12})?$")
# classes that hold one text, which is what they give, and classes that pass on what they are given
_HOLDERS = re.compile(r"primitive|literal|constant|multiline|(?:simple ?)?(?:string|text)(?: ?(?:box|input))?$", re.I)
_HELD = ("value", "string", "text")
_PASSING = re.compile(r"reroute", re.I)
_MOST_PASSED = 20


def make_prefixes_plain(graph: Graph) -> None:
    """Change the prefixes of a graph to plain ones. One that a link brings is changed where it is known beforehand.

    A prefix that may lead out of ComfyUI's output folder goes on doing so: see `outside_folders`.
    """
    for node in graph.values():
        given = node["inputs"].get(PREFIX_INPUT)
        prefix = _known_text(graph, given) if is_link(given) else given
        if isinstance(prefix, str) and (plain := plain_prefix(prefix)) != prefix:
            node["inputs"][PREFIX_INPUT] = plain


def plain_prefix(prefix: str) -> str:
    """The prefix, without what keeps ComfyUI from saving under it or from serving the files.

    A backslash separates folders on Windows only, where a slash does so too; elsewhere it becomes part of the name.
    At the beginning it stays one, as there the slash would be the root of a disk.
    """
    if prefix.startswith("\\"):
        return _shortened(_DOTS.sub(".", _CONTROL.sub("_", prefix)))
    plain = "/".join(_shortened(part) for part in _CONTROL.sub("_", prefix.replace("\\", "/")).split("/"))
    folders, slash, name = plain.rpartition("/")
    if name != "..":
        plain = folders + slash + _DOTS.sub(".", name)
    saved = posixpath.normpath(plain)  # as ComfyUI does
    folders, slash, name = saved.rpartition("/")
    if saved == "..":
        return UNNAMED
    return folders + slash + _DOTS.sub(".", name) if ".." in name and name != ".." else plain


def outside_folders(graph: Graph) -> dict[str, str]:
    """The folders, by node id, that prefixes name and that seem not to lie below ComfyUI's output folder.

    Above it none is any use: even if the way leads back in, ComfyUI names a file there by a path that it refuses.
    From the root of a disk one may lie there all the same, which ComfyUI can be asked.
    """
    found: dict[str, str] = {}
    for node_id, node in graph.items():
        given = node["inputs"].get(PREFIX_INPUT)
        prefix = _known_text(graph, given) if is_link(given) else given
        if isinstance(prefix, str):
            folder = posixpath.dirname(posixpath.normpath(prefix))
            if leads_up(folder) or folder.startswith("/") or _DRIVE.match(f"{folder}/"):
                found[node_id] = folder
    return found


def leads_up(folder: str) -> bool:
    """Whether a normalised folder is above the one that it is told from."""
    return folder.split("/")[0] == ".."


def with_plain_prefixes(graph: Graph, files: Mapping[str, tuple[str, str]]) -> Graph:
    """A graph whose nodes save under plain prefixes instead of linked ones.

    Args:
        files: of each node that is to be changed, the folder and the name of a file that it has saved.
    """
    changed = dict(graph)
    for node_id, (folder, name) in files.items():
        stem = _ADDED.sub("", name) or UNNAMED
        prefix = plain_prefix(f"{folder}/{stem}" if folder else stem)
        changed[node_id] = {**graph[node_id], "inputs": {**graph[node_id]["inputs"], PREFIX_INPUT: prefix}}
    return changed


def _known_text(graph: Graph, link: list[object]) -> str | None:
    """The text that a link certainly brings; None if only a run shows it."""
    for _ in range(_MOST_PASSED):
        node = graph.get(str(link[0]))
        if node is None or len(node["inputs"]) != 1:
            return None
        [(name, value)] = node["inputs"].items()
        holds = name.lower() in _HELD and _HOLDERS.search(node["class_type"]) is not None
        if isinstance(value, str):
            return value if holds else None
        if not is_link(value) or not (holds or _PASSING.search(node["class_type"])):
            return None
        link = value
    return None


def _shortened(name: str) -> str:
    encoded = name.encode(errors="replace")
    return name if len(encoded) <= LONGEST_NAME else encoded[:LONGEST_NAME].decode(errors="ignore").rstrip(". ")
