"""Makes file name prefixes plain, so that every ComfyUI can save and serve the files.

ComfyUI discovers only after running a graph that it can't save under a prefix. It also saves files with two dots or a
line break in their names, but `/view` refuses to serve them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from comfybridge.workflow.folders import PREFIX_INPUT, UNNAMED
from comfybridge.workflow.graph import Graph, is_link

# File systems allow names of 255 bytes; ComfyUI adds a number and an ending to the last part.
LONGEST_NAME = 230

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_DOTS = re.compile(r"\.{2,}")
_DRIVE = re.compile(r"[A-Za-z]:/")
# what a saver appends to its prefix: a number, and an ending
_ADDED = re.compile(r"(?:_\d+_?)?(?:\.\w{1,12})?$")
# classes whose output is the one text that they contain, and classes that pass on their input
_HOLDERS = re.compile(r"primitive|literal|constant|multiline|(?:simple ?)?(?:string|text)(?: ?(?:box|input))?$", re.I)
_HELD = ("value", "string", "text")
_PASSING = re.compile(r"reroute", re.I)
_MOST_PASSED = 20


def make_prefixes_plain(graph: Graph) -> None:
    """Make the prefixes of a graph plain, including linked ones that are known before it runs.

    A prefix that may lead out of ComfyUI's output folder still does so afterwards: see `outside_folders`.
    """
    for node in graph.values():
        given = node["inputs"].get(PREFIX_INPUT)
        prefix = _known_text(graph, given) if is_link(given) else given
        if isinstance(prefix, str) and (plain := plain_prefix(prefix)) != prefix:
            node["inputs"][PREFIX_INPUT] = plain


def plain_prefix(prefix: str) -> str:
    """The prefix, without characters that keep ComfyUI from saving under it or from serving the files.

    A backslash becomes a slash, which separates folders on every system; outside Windows, it would become part of the
    name. At the beginning it stays, because a slash there would be the root of a disk.
    """
    if prefix.startswith("\\"):
        return _shortened(_DOTS.sub(".", _CONTROL.sub("_", prefix)))
    plain = "/".join(_shortened(part) for part in _CONTROL.sub("_", prefix.replace("\\", "/")).split("/"))
    folders, slash, name = plain.rpartition("/")
    if name != "..":
        plain = folders + slash + _DOTS.sub(".", name)
    saved = posixpath.normpath(plain)  # as in ComfyUI
    folders, slash, name = saved.rpartition("/")
    if saved == "..":
        return UNNAMED
    return folders + slash + _DOTS.sub(".", name) if ".." in name and name != ".." else plain


def outside_folders(graph: Graph) -> dict[str, str]:
    """The folders in prefixes that seem not to lie below ComfyUI's output folder, by node id.

    A path that leads above it is unusable even if it leads back in, because ComfyUI reports the file by a path that
    it refuses. An absolute path may lie below it after all; only ComfyUI can tell.
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
    """Whether a normalized folder leads above its base folder."""
    return folder.split("/")[0] == ".."


def with_plain_prefixes(graph: Graph, files: Mapping[str, tuple[str, str]]) -> Graph:
    """A graph whose nodes save under plain prefixes instead of linked ones.

    Args:
        files: for each node to change, the folder and the name of a file that it has saved.
    """
    changed = dict(graph)
    for node_id, (folder, name) in files.items():
        stem = _ADDED.sub("", name) or UNNAMED
        prefix = plain_prefix(f"{folder}/{stem}" if folder else stem)
        changed[node_id] = {**graph[node_id], "inputs": {**graph[node_id]["inputs"], PREFIX_INPUT: prefix}}
    return changed


def _known_text(graph: Graph, link: list[object]) -> str | None:
    """The text that a link is certain to provide; None if it is known only after a run."""
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
