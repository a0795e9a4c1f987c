"""JSON with the base64 of files in it, in memory or made while it is sent.

The JSON is written with a placeholder for each file, and split there. Facts that are unknown until a file has been
sent (see `Delivery`) follow it, so that the pieces before it are final.
"""

from __future__ import annotations

import json
import secrets
from binascii import b2a_base64
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from comfybridge.files.delivery import DeliveredFile, Delivery
from comfybridge.request import Generation
from comfybridge.web.answers.sending import Body, Streamed

# The placeholder for the base64 of a file. It is random, so no caller can put it into the JSON.
PLACE = secrets.token_hex(16)

_encode = json.JSONEncoder(separators=(",", ":")).encode

# From a file's chunks to what is sent of it.
Change = Callable[[DeliveredFile, Iterator[bytes]], Iterator[bytes]]


def json_with_files(
    generation: Generation,
    delivery: Delivery,
    places: Sequence[DeliveredFile],
    body: Callable[[], Mapping[str, Any]],
    change: Change | None = None,
) -> Body:
    """JSON on one line, with the base64 of files for its placeholders.

    Args:
        places: the files, in the order of their placeholders; without any, none is read.
        body: makes the JSON; called again once more is known about a file.
        change: changes what is sent of a file.

    Raises:
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file could not be fetched.
    """
    page = _Page(delivery, places, body, change)
    if not places or delivery.is_in_memory:
        delivery.close()
        return b"".join(page.chunks())
    return Streamed(page.chunks(), page.length, delivery, generation)


def base64_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The base64 of a file."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk if rest else chunk
        odd = len(data) % 3
        rest = data[len(data) - odd :] if odd else b""
        yield b2a_base64(memoryview(data)[: len(data) - odd] if odd else data, newline=False)
    if rest:
        yield b2a_base64(rest, newline=False)


class _Page:
    """The answer as pieces of JSON with files between them."""

    def __init__(
        self,
        delivery: Delivery,
        places: Sequence[DeliveredFile],
        body: Callable[[], Mapping[str, Any]],
        change: Change | None,
    ) -> None:
        self._delivery = delivery
        self._places = places
        self._body = body
        self._change = change
        self._unmeasured = {file for file in delivery.files if file.size is None}

    @property
    def length(self) -> int | None:
        """The length of the whole in bytes; None if unknown yet."""
        if self._unmeasured or self._change is not None:
            return None
        return sum(map(len, self._texts())) + sum(4 * -(-(file.size or 0) // 3) for file in self._places)

    def chunks(self) -> Generator[bytes, None, None]:
        """The whole, piece by piece."""
        texts = self._texts()
        for index, file in enumerate(self._places):
            yield texts[index]
            content: Iterator[bytes] = self._delivery.chunks(file)
            yield from base64_chunks(content if self._change is None else self._change(file, content))
            if file in self._unmeasured:
                texts = self._texts()
        yield texts[-1]

    def _texts(self) -> list[bytes]:
        return [text.encode("ascii") for text in f"{_encode(self._body())}\n".split(PLACE)]
