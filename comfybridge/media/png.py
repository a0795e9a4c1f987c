"""PNG files as chunks, without decoding any pixels (https://www.w3.org/TR/png-3/#5Chunk-layout)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from comfybridge.media.containers import (
    Malformed,
    TooMuch,
    claims_too_much,
    orientation_of,
    orientation_only,
    without_prefix,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END_OF_IHDR = 33  # which is the first chunk, and has 13 bytes
# `comf` is ComfyUI's own: its savers of animated PNGs put key, NUL, JSON into it, after the pixels encoders put 8 kB
# or more of the pixels into each chunk
MOST_CHUNKS = 100_000
_END = b"\0\0\0\0IEND\xaeB`\x82"
# of all texts together, unpacked: the largest workflows that people share have some megabytes
LARGEST_TEXTS = 16 * 1024 * 1024
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"comf")


class Chunk(NamedTuple):
    """A chunk's type, where it begins in the file (its length field), and its content."""

    type: bytes
    start: int
    data: memoryview

    @property
    def end(self) -> int:
        """Where the next chunk begins: length, type and checksum are 12 bytes."""
        return self.start + 12 + len(self.data)


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks up to and including IEND; checksums are not verified.

    Raises:
        Malformed: it is not a PNG, or ends within a chunk or before IEND; TooMuch: it has too many chunks.
    """
    if not data.startswith(SIGNATURE):
        raise Malformed("it does not begin as a PNG")
    view = memoryview(data)
    at = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        length = int.from_bytes(view[at : at + 4], "big")
        if at + 12 + length > len(data):
            raise Malformed("it ends early")
        chunk = Chunk(bytes(view[at + 4 : at + 8]), at, view[at + 8 : at + 8 + length])
        yield chunk
        if chunk.type == b"IEND":
            return
        at = chunk.end
    raise TooMuch("it has too many parts")


def check_parts(data: bytes) -> None:
    """Check the number of chunks and the claims of the EXIF block.

    Raises:
        Malformed: see `chunks`.
        TooMuch: there are too many, or the EXIF claims more than there is.
    """
    for chunk in chunks(data):
        if chunk.type == b"eXIf" and claims_too_much(without_prefix(bytes(chunk.data))):
            raise TooMuch("its EXIF claims more than there is")


def texts(data: bytes) -> dict[str, str]:
    """The texts in a PNG, by keyword; XMP is excluded.

    Raises:
        Malformed: see `chunks`; or its texts, unpacked, have more than `LARGEST_TEXTS` bytes together.
    """
    budget = LARGEST_TEXTS
    found: dict[str, str] = {}
    for chunk in chunks(data):
        if chunk.type not in TEXT_CHUNKS:
            continue
        key, _, rest = bytes(chunk.data).partition(b"\0")
        text, encoding = rest, "latin-1"
        if chunk.type == b"zTXt":
            text = _inflated(rest[1:], budget)
        elif chunk.type == b"iTXt":
            encoding = "utf-8"
            # compression flag, compression method, language NUL, translated keyword NUL, text
            text = rest[2:].split(b"\0", 2)[-1]
            if rest[:1] == b"\1":
                text = _inflated(text, budget)
        budget -= len(text)
        if budget < 0:
            raise Malformed("its texts are too large")
        if key != b"XML:com.adobe.xmp":
            found[key.decode("latin-1")] = text.decode(encoding, "replace")
    return found


def raw_texts(data: bytes) -> list[tuple[bytes, bytes]]:
    """The text chunks, type and content, just as they are. Raises Malformed."""
    return [(chunk.type, bytes(chunk.data)) for chunk in chunks(data) if chunk.type in TEXT_CHUNKS]


def exif(data: bytes) -> bytes:
    """The content of the eXIf chunk; empty if there is none. Raises Malformed."""
    return next((bytes(chunk.data) for chunk in chunks(data) if chunk.type == b"eXIf"), b"")


def stripped(data: bytes) -> bytes:
    """The PNG without texts and EXIF (except an orientation), and without bytes after its end. Raises Malformed."""
    kept = [SIGNATURE]
    for chunk in chunks(data):
        if chunk.type == b"eXIf":
            orientation = orientation_of(bytes(chunk.data))
            if orientation != 1:
                kept.append(_chunk(b"eXIf", orientation_only(orientation)))
        elif chunk.type not in TEXT_CHUNKS:
            kept.append(data[chunk.start : chunk.end])
    return b"".join(kept)


def looks_whole(data: bytes) -> bool:
    """Whether a file begins and ends as a PNG does."""
    return data.startswith(SIGNATURE) and data[12:16] == b"IHDR" and data.endswith(_END)


def text_chunk(keyword: str, text: str) -> bytes:
    """A chunk with a text: tEXt if Latin-1 has its characters, else iTXt."""
    try:
        return _chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace"))


def with_chunk(start: bytes, chunk: bytes) -> bytes:
    """The beginning of a PNG with another chunk after its first; of any other file, just as it is.

    Args:
        start: its first bytes.
    """
    if not start.startswith(SIGNATURE) or start[12:16] != b"IHDR" or len(start) < END_OF_IHDR:
        return start
    return b"".join((start[:END_OF_IHDR], chunk, start[END_OF_IHDR:]))


def _chunk(type: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(type))
    return len(content).to_bytes(4, "big") + type + content + checksum.to_bytes(4, "big")


def _inflated(packed: bytes, limit: int) -> bytes:
    """The decompressed text, cut at one byte more than the limit. Raises Malformed."""
    inflater = zlib.decompressobj()
    try:
        return inflater.decompress(packed, limit + 1)
    except zlib.error as error:
        raise Malformed("one of its texts cannot be decompressed") from error
