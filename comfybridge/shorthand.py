"""Requests in one line of Python: a text, and values by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

from comfybridge.request import GenerationRequest, InputFile, OutputOptions

# A text, a whole graph, or a complete request; None: the workflow's own text.
Asked = GenerationRequest | str | Mapping[str, Any] | None

# The values of the request itself; all other names are parameters of its workflow.
_OF_REQUESTS = {each.name for each in fields(GenerationRequest)} - {"params", "wants_first_image", "warnings"}


def request_for(asked: Asked, values: Mapping[str, Any]) -> GenerationRequest:
    """The request that a call of `generate` describes.

    Args:
        values: the request's own values by their names, and the parameters of its workflow. `images` may be
            `{name: bytes, or the path of a file}`, and `output` a dictionary of `OutputOptions`.

    Raises:
        TypeError: a complete request comes with further values, or `output` has one that it does not know.
        OSError: a file can't be read.
    """
    if isinstance(asked, GenerationRequest):
        if values:
            raise TypeError(f"A GenerationRequest has all values itself; give it {', '.join(values)} too.")
        return asked
    own = {name: value for name, value in values.items() if name in _OF_REQUESTS}
    params = {name: value for name, value in values.items() if name not in _OF_REQUESTS and name != "params"}
    params.update(values.get("params") or {})
    if isinstance(asked, str):
        params["prompt"] = asked
    elif asked is not None:
        own["graph"] = dict(asked)
    if isinstance(own.get("output"), Mapping):
        own["output"] = OutputOptions(**own["output"])
    if "images" in own:
        own["images"] = _files(own["images"])
    return GenerationRequest(params=params, **own)


def _files(given: Mapping[str, bytes | str | PathLike[str]] | Iterable[InputFile]) -> list[InputFile]:
    if not isinstance(given, Mapping):
        return list(given)
    return [
        InputFile(name, data if isinstance(data, bytes) else Path(data).read_bytes()) for name, data in given.items()
    ]
