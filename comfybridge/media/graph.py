"""The graph that made a picture or a video, out of it."""

from __future__ import annotations

import json
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.json_size import MOST_VALUES, holds_too_much
from comfybridge.media import matroska, mp4
from comfybridge.media.containers import Malformed
from comfybridge.media.kinds import file_extension
from comfybridge.media.metadata import read_metadata

API_FORMAT, OF_EDITOR = "prompt", "workflow"  # what ComfyUI calls the two formats of a graph in a file


def embedded_graph(data: bytes) -> dict[str, Any] | None:
    """The graph that ComfyUI embedded in a picture or a video; None if the file has none.

    It is the one in API format, or else the one that the editor saved: if there is none in API format, or something
    else in its place, as other tools write the text of a prompt there. `is_changed`, which ComfyUI notes in the nodes
    while it runs them, is left out: taken along, it would stand for the file or the random number of that time. A
    number that JSON does not have (NaN, Infinity) is read as null.

    Raises:
        InvalidRequest: its graph is not a JSON object, or cannot be read.
    """
    try:
        texts = {key.lower(): text for key, text in _texts(data).items()}
    except Malformed as error:
        raise InvalidRequest(f"The picture sent as the workflow can't be read: {error}.") from error
    if API_FORMAT in texts:
        try:
            graph = _object(texts[API_FORMAT])
        except InvalidRequest:
            if OF_EDITOR not in texts:
                raise
            graph = {}
        if graph or OF_EDITOR not in texts:
            return {name: _without_is_changed(node) for name, node in graph.items()}
    return _object(texts[OF_EDITOR]) if OF_EDITOR in texts else None


def _texts(data: bytes) -> dict[str, str]:
    ending = file_extension(data)
    if ending in ("mp4", "mov"):
        return mp4.texts(data)
    return matroska.texts(data) if ending in ("webm", "mkv") else read_metadata(data).texts


def _object(text: str) -> dict[str, Any]:
    if holds_too_much(text):
        raise InvalidRequest(f"The graph in the picture sent as the workflow holds more than {MOST_VALUES} values.")
    try:
        graph = json.loads(text, parse_constant=lambda _: None)
        if isinstance(graph, str):  # some tools write it as a text of JSON
            graph = json.loads(graph, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The graph in the picture sent as the workflow is not valid JSON.") from error
    if not isinstance(graph, dict):
        raise InvalidRequest("The graph in the picture sent as the workflow is not a JSON object.")
    return graph


def _without_is_changed(node: Any) -> Any:
    return {key: value for key, value in node.items() if key != "is_changed"} if isinstance(node, dict) else node
