"""A generation as the JSON that answers it."""

from __future__ import annotations

import base64
import time

from comfybridge.media import image_size
from comfybridge.request import Generation, Output
from comfybridge.web.answers import GenerationAnswer, OutputAnswer


def generation_body(generation: Generation, *, with_first_image: bool) -> GenerationAnswer:
    """The JSON of a generation, all its files fetched.

    Args:
        with_first_image: also give the first image as `image`, as clients that send a graph in `prompt` expect it.

    Raises:
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file could not be fetched; with the prompt's id.
    """
    images: list[str] = []
    warnings = list(generation.warnings)
    outputs = [_output(output, images, warnings) for output in generation.outputs]
    timings = generation.timings
    body: GenerationAnswer = {
        "status": "success",
        "prompt_id": generation.prompt_id,
        "images": images,
        "outputs": outputs,
        "seed": generation.seed,
        "params": generation.params,
        "warnings": warnings,
        "timings": {
            "queued": _rounded(timings.queued),
            "executing": _rounded(timings.executing),
            "total": _rounded(time.monotonic() - generation.started),
        },
    }
    if with_first_image and images:
        body["image"] = images[0]
    return body


def _output(output: Output, images: list[str], warnings: list[str]) -> OutputAnswer:
    loaded = output.load()
    warnings += loaded.warnings
    size = image_size(loaded.data) if output.kind == "image" else None
    width, height = size or (None, None)
    described: OutputAnswer = {
        "node_id": output.node_id,
        "kind": output.kind,
        "filename": loaded.filename,
        "subfolder": output.subfolder,
        "type": output.type,
        "media_type": loaded.media_type,
        "width": width,
        "height": height,
        "bytes": len(loaded.data),
        "index": None,
    }
    if output.kind == "image":
        described["index"] = len(images)
        images.append(_base64(loaded.data))
    elif output.text is not None:
        described["text"] = output.text
    else:
        described["data"] = _base64(loaded.data)
    return described


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
