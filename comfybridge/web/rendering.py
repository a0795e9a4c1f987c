"""A generation as the JSON that answers it."""

from __future__ import annotations

import base64
import time
from typing import Any

from comfybridge.media import image_size
from comfybridge.request import Generation, Output


def generation_body(generation: Generation, *, with_first_image: bool) -> dict[str, Any]:
    """The JSON of a generation, all its files fetched.

    Args:
        with_first_image: also give the first image as `image`, as clients that send a graph in `prompt` expect it.

    Raises:
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file could not be fetched; with the prompt's id.
    """
    images: list[str] = []
    outputs = [_output(output, images) for output in generation.outputs]
    timings = generation.timings
    body: dict[str, Any] = {
        "status": "success",
        "prompt_id": generation.prompt_id,
        "images": images,
        "outputs": outputs,
        "seed": generation.seed,
        "params": generation.params,
        "warnings": generation.warnings,
        "timings": {
            "queued": _rounded(timings.queued),
            "executing": _rounded(timings.executing),
            "total": _rounded(time.monotonic() - generation.started),
        },
    }
    if with_first_image and images:
        body["image"] = images[0]
    return body


def _output(output: Output, images: list[str]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "node_id": output.node_id,
        "kind": output.kind,
        "filename": output.filename,
        "subfolder": output.subfolder,
        "type": output.type,
        "media_type": output.media_type,
    }
    data = output.read()
    size = image_size(data) if output.kind == "image" else None
    described["width"], described["height"] = size or (None, None)
    described["bytes"] = len(data)
    described["index"] = None
    if output.kind == "image":
        described["index"] = len(images)
        images.append(_base64(data))
    elif output.text is not None:
        described["text"] = output.text
    else:
        described["data"] = _base64(data)
    return described


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
