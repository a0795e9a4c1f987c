"""Walks the blocks of a GIF (GIF89a, W3C) to see whether it is complete."""

from __future__ import annotations

from comfybridge.media.containers import TooMuch

MOST_BLOCKS = 1_000_000
LARGEST_COMMENTS = 1024 * 1024
_HEADER_SIZE = 13  # signature and logical screen descriptor
_IMAGE, _EXTENSION, _TRAILER, _COMMENT = 0x2C, 0x21, 0x3B, 0xFE


def is_whole(data: bytes) -> bool:
    """Whether the blocks of a GIF follow one another up to its trailer.

    Raises:
        TooMuch: there are far more of them than in any real picture.
    """
    comments = 0
    try:
        at = _HEADER_SIZE + _color_table_size(data[10])
        for _ in range(MOST_BLOCKS):
            if data[at] == _TRAILER:
                return True
            if data[at] == _EXTENSION:
                end = _behind_sub_blocks(data, at + 2)
                comments += end - at if data[at + 1] == _COMMENT else 0
                if comments > LARGEST_COMMENTS:  # before version 13, Pillow needs quadratic time to join them
                    raise TooMuch("its comments are too large")
                at = end
            elif data[at] == _IMAGE:
                # position, size, colours and code width precede the compressed data
                at = _behind_sub_blocks(data, at + 10 + _color_table_size(data[at + 9]) + 1)
            else:
                return False
    except IndexError:
        return False
    raise TooMuch("it has too many parts")


def _color_table_size(flags: int) -> int:
    return 3 * 2 ** ((flags & 0x07) + 1) if flags & 0x80 else 0


def _behind_sub_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1
