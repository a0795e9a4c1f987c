"""Server-sent events, as they go over the wire."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

from comfybridge.web.answers.sending import Body

MEDIA_TYPE = "text/event-stream"


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
