"""Has a graph save into a folder of its own.

ComfyUI's savers list the folder that they save to, so they get slower with every file in it. Besides, a saver with a
new prefix is not cached, so it does not report files that may have been deleted since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PREFIX_INPUT = "filename_prefix"
FOLDER = "comfybridge"  # in ComfyUI's output folder, with a folder for each day, and in that one for each request

UNNAMED = "ComfyUI"  # for a prefix without a name, for which ComfyUI would use the folder's

# the prefix of an earlier request: the graph in a picture that the bridge made may be run again
_EARLIER = re.compile(FOLDER + r"/\d{4}-\d\d-\d\d/[0-9a-f-]{36}/")


def save_into_folder(graph: dict[str, dict[str, Any]], day: str, name: str) -> None:
    """Put the folder of a request in front of every file name prefix of a graph, which is changed.

    A prefix that leads out of ComfyUI's output folder is left for ComfyUI to refuse, and so is a linked one.

    Args:
        day: such as 2026-11-21.
        name: the request's own folder.
    """
    for node in graph.values():
        prefix = node["inputs"].get(PREFIX_INPUT)
        if isinstance(prefix, str) and _stays_inside(prefix):
            own = _EARLIER.sub("", prefix, count=1)
            node["inputs"][PREFIX_INPUT] = f"{FOLDER}/{day}/{name}/{own if own.strip('./') else UNNAMED}"


def without_folder(graph: Mapping[str, Any]) -> dict[str, Any]:
    """A graph that was given a folder, with the prefixes that it had before. The graph itself is not changed."""
    return {node_id: _without_folder(node) for node_id, node in graph.items()}


def _without_folder(node: dict[str, Any]) -> dict[str, Any]:
    prefix = node["inputs"].get(PREFIX_INPUT)
    if not isinstance(prefix, str):
        return node
    return {**node, "inputs": {**node["inputs"], PREFIX_INPUT: _EARLIER.sub("", prefix, count=1)}}


def _stays_inside(prefix: str) -> bool:
    parts = prefix.replace("\\", "/").split("/")
    return (parts[0] != "" or prefix == "") and ".." not in parts and not parts[0].endswith(":")
