"""Server-sent events: what there is to tell of a prompt, and how one is framed."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfybridge.web.answers.sending import Body

MEDIA_TYPE = "text/event-stream"


@dataclass(frozen=True)
class Queued:
    """The prompt is queued, or another one in its place.

    Attributes:
        position: its place among those that wait; None if nobody follows it, or ComfyUI did not say.
        eta_seconds: how long it will take to wait and run; None if that is unknown.
    """

    prompt_id: str
    position: int | None
    eta_seconds: float | None = None


def frame(event: str, data: Mapping[str, Any]) -> bytes:
    """An event.

    Args:
        event: its name.
        data: its JSON.
    """
    return _start(event) + json.dumps(data).encode() + b"\n\n"


def framed(event: str, body: Body) -> Body:
    """An event whose data is a body of JSON that ends with a line break."""
    start = _start(event)
    if isinstance(body, bytes):
        return b"".join((start, body, b"\n"))
    length = None if body.length is None else len(start) + body.length + 1
    return replace(body, chunks=_around(start, body.chunks), length=length)


def _around(start: bytes, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield start
    yield from chunks
    yield b"\n"


def _start(event: str) -> bytes:
    return f"event: {event}\ndata: ".encode()
