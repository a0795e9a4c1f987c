"""The texts that ComfyUI's SaveVideo embeds in an MP4: the boxes `keys` and `ilst` in `moov/udta/meta`.

A box is its size, its type and its content (ISO/IEC 14496-12); the keys are those of Apple's QuickTime.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MOST_BOXES = 10_000  # in one place
_AROUND = (b"moov", b"udta")
_DATA_HEADER = 8  # the type and the language of a value


def texts(data: bytes) -> dict[str, str]:
    """The texts, by keyword; none of what is not built as it should be."""
    meta = _meta(memoryview(data))
    if meta is None:
        return {}
    parts = dict(_boxes(meta))
    keys = list(_keys(parts.get(b"keys", memoryview(b""))))
    found = {}
    for place, item in _boxes(parts.get(b"ilst", memoryview(b""))):
        number = int.from_bytes(place, "big")
        value = dict(_boxes(item)).get(b"data")
        if value is not None and 1 <= number <= len(keys):
            found[keys[number - 1]] = str(value[_DATA_HEADER:], "utf-8", "replace")
    return found


def _meta(content: memoryview, depth: int = len(_AROUND)) -> memoryview | None:
    """The content of the box `meta`, in as many others at most."""
    for type, inner in _boxes(content):
        if type == b"meta":
            # some writers leave out its version and flags
            return inner if bytes(inner[4:8]) == b"hdlr" else inner[4:]
        found = _meta(inner, depth - 1) if depth and type in _AROUND else None
        if found is not None:
            return found
    return None


def _boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(content):
            return
        size, type = struct.unpack_from(">I4s", content, at)
        header = 8
        if size == 1 and at + 16 <= len(content):
            (size,) = struct.unpack_from(">Q", content, at + 8)
            header = 16
        elif size == 0:  # to the end
            size = len(content) - at
        if size < header:
            return
        yield type, content[at + header : at + size]
        at += size


def _keys(content: memoryview) -> Iterator[str]:
    """The keywords: each a box of its namespace."""
    for _, name in _boxes(content[8:]):  # behind version, flags and count
        yield str(name, "utf-8", "replace")
