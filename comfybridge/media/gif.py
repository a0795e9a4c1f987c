"""The blocks of a GIF (GIF89a, W3C), as far as it takes to see whether it is whole."""

from __future__ import annotations

_HEADER_SIZE = 13  # signature and logical screen descriptor
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


def is_whole(data: bytes) -> bool:
    """Whether the blocks of a GIF follow one another up to its trailer."""
    try:
        at = _HEADER_SIZE + _color_table_size(data[10])
        while data[at] != _TRAILER:
            if data[at] == _EXTENSION:
                at = _behind_sub_blocks(data, at + 2)
            elif data[at] == _IMAGE:
                # its place and size, its colours, and the width of its codes stand before what is compressed
                at = _behind_sub_blocks(data, at + 10 + _color_table_size(data[at + 9]) + 1)
            else:
                return False
    except IndexError:
        return False
    return True


def _color_table_size(flags: int) -> int:
    return 3 * 2 ** ((flags & 0x07) + 1) if flags & 0x80 else 0


def _behind_sub_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1
