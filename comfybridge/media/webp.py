"""WebP files as RIFF chunks (https://developers.google.com/speed/webp/docs/riff_container)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from comfybridge.media.containers import Malformed, orientation_of, orientation_only

_METADATA_CHUNKS = (b"EXIF", b"XMP ")
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04


class Chunk(NamedTuple):
    """A chunk's type and its content, without the byte that pads it to an even length."""

    type: bytes
    data: bytes


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks, in their order.

    Raises:
        Malformed: it is not a WebP, or ends early.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise Malformed("it does not begin as a WebP")
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise Malformed("it ends early")
    at = 12
    while at + 8 <= end:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            raise Malformed("it ends early")
        yield Chunk(data[at : at + 4], data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2


def exif(data: bytes) -> bytes:
    """The content of the EXIF chunk; empty if there is none. Raises Malformed."""
    return next((chunk.data for chunk in chunks(data) if chunk.type == b"EXIF"), b"")


def stripped(data: bytes) -> bytes:
    """The WebP, animated or not, without XMP and EXIF (except an orientation). Raises Malformed."""
    orientation = orientation_of(exif(data))
    kept: list[Chunk] = []
    for chunk in chunks(data):
        if chunk.type == b"VP8X" and chunk.data:
            flags = chunk.data[0] & ~(_EXIF_FLAG | _XMP_FLAG)
            if orientation != 1:
                flags |= _EXIF_FLAG
            kept.append(Chunk(chunk.type, bytes([flags]) + chunk.data[1:]))
        elif chunk.type not in _METADATA_CHUNKS:
            kept.append(chunk)
    if orientation != 1:
        kept.append(Chunk(b"EXIF", orientation_only(orientation)))
    body = b"WEBP" + b"".join(_packed(chunk) for chunk in kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _packed(chunk: Chunk) -> bytes:
    padding = b"\0" * (len(chunk.data) % 2)
    return chunk.type + len(chunk.data).to_bytes(4, "little") + chunk.data + padding
