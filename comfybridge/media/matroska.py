"""The texts that ComfyUI's SaveWEBM embeds in a WebM, as tags (RFC 9559).

An element is its id, its size and its content, the first two as integers of variable length (RFC 8794).
"""

from __future__ import annotations

from collections.abc import Iterator

_SEGMENT, _TAGS, _TAG, _SIMPLE_TAG = 0x18538067, 0x1254C367, 0x7373, 0x67C8
_AROUND = (_SEGMENT, _TAGS, _TAG)
_NAME, _STRING = 0x45A3, 0x4487
_MOST_ELEMENTS = 100_000  # in one place


def texts(data: bytes) -> dict[str, str]:
    """The texts, by keyword; none of what is not built as it should be."""
    return dict(_texts(memoryview(data)))


def _texts(content: memoryview, depth: int = len(_AROUND)) -> Iterator[tuple[str, str]]:
    for id, inner in _elements(content):
        if id in _AROUND and depth:
            yield from _texts(inner, depth - 1)
        elif id == _SIMPLE_TAG:
            parts = dict(_elements(inner))
            if _NAME in parts and _STRING in parts:
                yield str(parts[_NAME], "utf-8", "replace"), str(parts[_STRING], "utf-8", "replace")


def _elements(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    for _ in range(_MOST_ELEMENTS):
        if at >= len(content):
            return
        width = _width(content[at])
        id = int.from_bytes(content[at : at + width], "big")
        at += width
        if at >= len(content):
            return
        width = _width(content[at])
        size = int.from_bytes(content[at : at + width], "big") & (1 << 7 * width) - 1
        at += width
        end = len(content) if size == (1 << 7 * width) - 1 else at + size  # all ones: unknown, to the end
        yield id, content[at:end]
        at = end


def _width(first: int) -> int:
    """How many bytes an integer has, by its first."""
    return 9 - first.bit_length() if first else 8
