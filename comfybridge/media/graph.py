"""The graph that made an image, out of the image."""

from __future__ import annotations

import json
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.json_size import MOST_VALUES, holds_too_much
from comfybridge.media.containers import Malformed
from comfybridge.media.metadata import read_metadata


def embedded_graph(data: bytes) -> dict[str, Any] | None:
    """The API-format graph that ComfyUI embedded in a PNG, WebP or JPEG; None if the file has none.

    `is_changed`, which ComfyUI notes in the nodes while it runs them, is left out: taken along, it would stand for
    the file or the random number of that time. A number that JSON does not have (NaN, Infinity) is read as null.

    Raises:
        InvalidRequest: it has only the editor's format, or its graph is not a JSON object, or cannot be read.
    """
    try:
        texts = {key.lower(): text for key, text in read_metadata(data).texts.items()}
    except Malformed as error:
        raise InvalidRequest(f"The image sent as the workflow can't be read: {error}.") from error
    if "prompt" not in texts:
        if "workflow" in texts:
            raise InvalidRequest(
                "The image sent as the workflow carries only the editor's format of its workflow, not the API "
                "format; open it in ComfyUI and export it in the API format."
            )
        return None
    if holds_too_much(texts["prompt"]):
        raise InvalidRequest(f"The graph in the image sent as the workflow holds more than {MOST_VALUES} values.")
    try:
        graph = json.loads(texts["prompt"], parse_constant=lambda _: None)
        if isinstance(graph, str):  # some tools write it as a text of JSON
            graph = json.loads(graph, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The graph in the image sent as the workflow is not valid JSON.") from error
    if not isinstance(graph, dict):
        raise InvalidRequest("The graph in the image sent as the workflow is not a JSON object.")
    return {str(name): _without_is_changed(node) for name, node in graph.items()}


def _without_is_changed(node: Any) -> Any:
    return {key: value for key, value in node.items() if key != "is_changed"} if isinstance(node, dict) else node
