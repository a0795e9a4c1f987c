"""The wire format between a client and a bridge: requests as parts of a form, and JSON to objects."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, error_classes
from comfybridge.media import media_type_of
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.request import (
    Generation,
    GenerationRequest,
    LoadedFile,
    OpenFile,
    Output,
    OutputOptions,
    Timings,
)
from comfybridge.workflow.written import Written

FileAt = Callable[[str], bytes]
Part = tuple[str, tuple[str | None, str | bytes]]
_Fields = GenerationRequest | OutputOptions

# The fields of a request that are not sent as they are: they take another form, or are for this side only.
_OTHERWISE = {
    *("workflow", "graph", "params", "images", "output"),
    *("idempotency_key", "wants_first_image", "warnings"),
}
_NOT_FOR_FILES = ("request", "prompt", "workflow")  # a form takes files of these names for something else


def form_of(asked: GenerationRequest, **more: Any) -> list[Part]:
    """A request as the parts of a form, as `requests` takes them.

    Files are parts of their own, and so are parameters written as text, whose type the parameter decides.

    Args:
        more: further fields.
    """
    written = {name: value for name, value in asked.params.items() if isinstance(value, Written) and value.strip()}
    body: dict[str, Any] = {"params": {name: value for name, value in asked.params.items() if name not in written}}
    workflow = asked.workflow if asked.graph is None else asked.graph
    if workflow is not None:
        body["workflow"] = workflow
    changed = _changed(asked, GenerationRequest())
    body.update({name: value for name, value in changed.items() if name not in _OTHERWISE})
    output = _changed(asked.output, OutputOptions())
    if output:
        body["output"] = output
    files: list[Part] = []
    for image in asked.images:
        url = getattr(image, "url", "")
        if url or image.name in _NOT_FOR_FILES:
            data = url or base64.b64encode(image.data).decode("ascii")
            body.setdefault("images", []).append({"name": image.name, "image": data})
        else:
            files.append((image.name, ("file", image.data)))
    texts = {
        "request": json.dumps({**body, **more}),
        **{f"params.{name}": str(each) for name, each in written.items()},
    }
    return [*((name, (None, text)) for name, text in texts.items()), *files]


def _changed(values: _Fields, defaults: _Fields) -> dict[str, Any]:
    """The fields that are not at their defaults."""
    pairs = ((each.name, getattr(values, each.name)) for each in dataclasses.fields(defaults))
    return {name: value for name, value in pairs if value != getattr(defaults, name)}


def generation_of(body: Mapping[str, Any], started: float, file_at: FileAt) -> Generation:
    """The generation in an answer's JSON.

    Args:
        file_at: fetches the file that a link leads to, once it is read.
        started: when the call began, on `time.monotonic()`'s clock.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the JSON is not a generation.
    """
    timings = body.get("timings") or {}
    outputs = [_output(each, body["images"], file_at) for each in body["outputs"]]
    whole = Generation(
        prompt_id=str(body.get("prompt_id", "")),
        outputs=outputs,
        seed=body["seed"],
        params=dict(body.get("params") or {}),
        warnings=[str(each) for each in body["warnings"]],
        timings=Timings(timings.get("queued"), timings.get("executing"), time.monotonic() - started),
        started=started,
        deadline=Deadline(math.inf, started),  # the files are in the answer
    )
    makers = [each.get("prompt_id") for each in body["outputs"]]
    parts = [
        dataclasses.replace(
            whole,
            prompt_id=str(prompt_id),
            seed=seed,
            outputs=[output for output, maker in zip(outputs, makers, strict=True) if maker == prompt_id],
        )
        for prompt_id, seed in zip(body.get("prompt_ids") or (), body.get("seeds") or (), strict=True)
    ]
    return dataclasses.replace(whole, of_prompts=tuple(parts))


def _output(told: Mapping[str, Any], images: list[str], file_at: FileAt) -> Output:
    text = told.get("text")
    url = str(told.get("url", ""))
    if url.startswith("data:"):
        data = base64.b64decode(url.partition(",")[2])
    elif url:
        data = b""
    elif told.get("index") is not None:
        data = base64.b64decode(images[told["index"]])
    else:
        data = base64.b64decode(told["data"]) if text is None else str(text).encode()
    file = LoadedFile(data, told["media_type"], told["filename"])
    kind = "text" if text is not None else told.get("kind") or media_type_of(file.filename)[1]
    return Output(
        node_id=str(told.get("node_id", "")),
        kind=kind,
        filename=file.filename,
        subfolder=str(told.get("subfolder", "")),
        type=str(told.get("type", "")),
        media_type=file.media_type,
        source=partial(_linked, file, url, file_at) if url.startswith("http") else partial(OpenFile.of, file),
        text=text,
    )


def _linked(file: LoadedFile, url: str, file_at: FileAt) -> OpenFile:
    return OpenFile.of(dataclasses.replace(file, data=file_at(url)))


def error_of(body: Mapping[str, Any], status: int, retry_after: str | None = None) -> BridgeError:
    """The error in a bridge's answer, of the same class as it was raised there.

    Args:
        status: the HTTP status that it came with, for types that this version does not know.

    Raises:
        KeyError, TypeError, AttributeError: the JSON is not an error.
    """
    name = str(body.get("type"))
    unknown: type[BridgeError] = type("UnknownError", (BridgeError,), {"type": name, "status": status})
    return error_classes().get(name, unknown)(
        str(body["error"]),
        prompt_id=body.get("prompt_id"),
        node=body.get("node"),
        node_errors=body.get("node_errors"),
        retry_after=int(retry_after) if retry_after and retry_after.isdecimal() else None,
    )


def _queued(data: Mapping[str, Any]) -> Queued:
    return Queued(
        str(data["prompt_id"]), data.get("position"), _seconds(data), tuple(map(str, data.get("prompt_ids") or ()))
    )


def _progress(data: Mapping[str, Any]) -> Progress:
    where = str(data.get("node_id", ""))
    return Progress(
        float(data["percent"]),
        where,
        str(data["class_type"]),
        float(data["value"]),
        float(data["max"]),
        _seconds(data),
        int(data.get("nodes_done", 0)),  # bridges before 2026-12 do not tell it
        int(data.get("nodes_total", 0)),
    )


def _preview(data: Mapping[str, Any]) -> Preview:
    return Preview(str(data["node_id"]), str(data["media_type"]), base64.b64decode(data["data"]))


def _seconds(data: Mapping[str, Any]) -> float | None:
    told = data.get("eta_seconds")
    return told if isinstance(told, (int, float)) and math.isfinite(told) else None


# How to read the data of each event before the last one of a stream.
EVENTS: Mapping[str, Callable[[Mapping[str, Any]], Queued | Progress | Preview]] = {
    "queued": _queued,
    "progress": _progress,
    "preview": _preview,
}
