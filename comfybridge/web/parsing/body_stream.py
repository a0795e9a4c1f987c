"""The bytes of a request's body as they arrive: decompressed, and limited in number."""

from __future__ import annotations

import contextlib
import logging
import threading
import zlib
from collections.abc import Iterator
from typing import IO

from flask import Request

from comfybridge.errors import InvalidRequest, TooLarge, UnsupportedMediaType

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
# A client that is still sending does not read an answer, so this much of an oversized body is read and discarded.
MOST_DISCARDED = 256 * 1024 * 1024
ENCODINGS = ("gzip", "deflate")
# A gzip file may consist of several members. Parallel compressors make one of each 64 KB or more.
MOST_GZIP_PARTS = 1000
# Parsed JSON may take six times the memory of its bytes, and thirty times if it is all brackets. Bodies larger than
# this are parsed one at a time, which costs nothing: Python could not parse two at once anyway.
LARGE = 1024 * 1024
_LARGE_IN_TURN = threading.Lock()
_AS_IT_IS = ("", "identity")
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
LONGEST_SHOWN = 100  # characters of a header, in an error
_BARE = -zlib.MAX_WBITS  # raw deflate; RFC 9110 (8.4.1.2) means zlib, but some send this


@contextlib.contextmanager
def in_turn(request: Request) -> Iterator[None]:
    """A context in which to read a request's body; a large body waits for its turn."""
    if (request.content_length or LARGE) < LARGE and "Content-Encoding" not in request.headers:
        yield
        return
    with _LARGE_IN_TURN:
        yield


class BodyStream:
    """A request's body, to be read once. Errors are raised after the rest of the body has been discarded.

    Args:
        most: how many bytes it may have, before and after decompression.
        limit: the limit in words, as in "a JSON body may have".

    Raises:
        UnsupportedMediaType: it has an unknown compression.
    """

    def __init__(self, request: Request, most: int, limit: str) -> None:
        self._raw = request.stream
        self._most = most
        self._limit = limit
        self._size = self._raw_size = 0  # the second only if it is compressed
        try:
            encoding = _encoding(request.headers.get("Content-Encoding", ""))
        except UnsupportedMediaType:
            self.discard()
            raise
        self._inflation = None if encoding is None else _Inflation(encoding)
        length = request.content_length
        if length is not None and length > most:
            raise self.too_large()

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes more; nothing at the end.

        Raises:
            TooLarge: the body exceeds the limit.
            InvalidRequest: the server can't read it, or it is not compressed as the request says.
        """
        data = _read_some(self._raw, size) if self._inflation is None else self._inflate(self._inflation, size)
        self._size += len(data)
        if self._size > self._most:
            raise self.too_large()
        return data

    def read_all(self) -> bytes:
        """The whole body; raises what `read` raises."""
        chunks = []
        while chunk := self.read():
            chunks.append(chunk)
        return b"".join(chunks)

    def discard(self) -> None:
        """Discard the rest."""
        left = self._most + MOST_DISCARDED
        while left > 0 and (chunk := _read_some(self._raw, CHUNK)):
            left -= len(chunk)

    def too_large(self) -> TooLarge:
        """Discard the rest, and return the error."""
        self.discard()
        return TooLarge(f"The body has more than {self._most} bytes, the most that {self._limit}.")

    def _inflate(self, inflation: _Inflation, size: int) -> bytes:
        try:
            while True:
                data = inflation.take(size)
                if data:
                    return data
                raw = _read_some(self._raw, CHUNK)
                self._raw_size += len(raw)
                if self._raw_size > self._most:
                    raise self.too_large()
                if not raw:
                    inflation.end()
                    return b""
                inflation.put(raw)
        except zlib.error as error:
            log.info("A body could not be decompressed: %s", error)
            self.discard()
            raise InvalidRequest(
                f"The body is not {inflation.encoding}, as the header Content-Encoding says, or it was cut off."
            ) from None


class _Inflation:
    """Decompresses the bytes put into it. Raises zlib.error."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self._compressed = b""
        self._part: zlib._Decompress | None = None  # the current member
        self._parts = 0

    def put(self, data: bytes) -> None:
        """Add compressed bytes, once `take` returns nothing."""
        self._compressed = data

    def take(self, size: int) -> bytes:
        """Up to `size` bytes; b"" if more input is needed."""
        while self._compressed or self._part is not None:
            part = self._part or self._begun_part()
            data = part.decompress(self._compressed, size)
            self._compressed = part.unused_data if part.eof else part.unconsumed_tail
            self._part = None if part.eof else part
            if data or not (part.eof or self._compressed):
                return data
        return b""

    def end(self) -> None:
        """Raise zlib.error if the input is incomplete."""
        if self._part is not None:
            raise zlib.error("incomplete")

    def _begun_part(self) -> zlib._Decompress:
        self._parts += 1
        if self._parts > (MOST_GZIP_PARTS if self.encoding == "gzip" else 1):
            raise zlib.error("too many parts")
        first = self._compressed[0]
        is_bare = self.encoding == "deflate" and first & 0x0F != zlib.DEFLATED and first != 0x1F
        return zlib.decompressobj(_BARE if is_bare else _GZIP_OR_ZLIB)


def _encoding(header: str) -> str | None:
    """The compression of a body; None: none.

    Raises:
        UnsupportedMediaType: neither gzip nor deflate, or several compressions.
    """
    named = [each.strip().lower() for each in header.split(",")]
    used = [each.removeprefix("x-") for each in named if each not in _AS_IT_IS]
    if not used:
        return None
    if len(used) == 1 and used[0] in ENCODINGS:
        return used[0]
    raise UnsupportedMediaType(
        f"Content-Encoding is {header[:LONGEST_SHOWN]!r}; a body can be sent as it is, or compressed once, as "
        f"{' or '.join(ENCODINGS)}."
    )


def _read_some(stream: IO[bytes], size: int) -> bytes:
    """Read more of a body from the server.

    Raises:
        InvalidRequest: the server cannot read the body.
    """
    try:
        return stream.read(size)
    except Exception as error:
        log.info("A body could not be read: %s", type(error).__name__)
        raise InvalidRequest(
            "The body is incomplete: it was cut off, came too slowly, or has malformed chunks."
        ) from None
