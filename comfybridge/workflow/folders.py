"""Where a graph saves: in a folder of its own.

ComfyUI's savers look through the folder that they save to, so they get slower with every file in it. And a saver
whose prefix is new does not take its files from the cache, where they may have been deleted since.
"""

from __future__ import annotations

import re
from typing import Any

PREFIX_INPUT = "filename_prefix"
FOLDER = "comfybridge"  # in ComfyUI's output folder; a folder for each day in it, and one for each request in that

UNNAMED = "ComfyUI"  # for a prefix without a name, of which ComfyUI would make the folder's

# what an earlier request put in front: a picture that the bridge made carries its graph, and is run again
_EARLIER = re.compile(FOLDER + r"/\d{4}-\d\d-\d\d/[0-9a-f-]{36}/")


def save_into_folder(graph: dict[str, dict[str, Any]], day: str, name: str) -> None:
    """Put the folder of a request in front of every file name prefix of a graph, which is changed.

    A prefix that would leave ComfyUI's output folder is left for ComfyUI to refuse, as is what a link brings.

    Args:
        day: as in 2026-11-21.
        name: the request's own folder.
    """
    for node in graph.values():
        prefix = node["inputs"].get(PREFIX_INPUT)
        if isinstance(prefix, str) and _stays_inside(prefix):
            own = _EARLIER.sub("", prefix, count=1)
            node["inputs"][PREFIX_INPUT] = f"{FOLDER}/{day}/{name}/{own if own.strip('./') else UNNAMED}"


def _stays_inside(prefix: str) -> bool:
    parts = prefix.replace("\\", "/").split("/")
    return (parts[0] != "" or prefix == "") and ".." not in parts and not parts[0].endswith(":")
