"""What the three containers have in common: how they fail, and the EXIF block that each can hold."""

from __future__ import annotations

import struct

from PIL import Image

from comfybridge.media.quiet import quiet

EXIF_PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112


class Malformed(Exception):
    """A file that is not built as its format says; its message goes on from `because`."""


def read_exif(block: bytes) -> Image.Exif:
    """The EXIF block, with or without its `Exif` prefix; an empty one if it makes no sense."""
    exif = Image.Exif()
    if block:
        # a strange block lets Pillow raise nearly anything: struct.error, SyntaxError, KeyError, TypeError, ...
        try:
            with quiet():
                exif.load(block)
                dict(exif)  # the values are decoded only now
        except Exception:
            return Image.Exif()
    return exif


def orientation_of(block: bytes) -> int:
    """How a viewer is to turn the picture, 1 to 8 as EXIF counts; 1, not at all, if the block doesn't say."""
    value = read_exif(block).get(ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def without_orientation(block: bytes) -> Image.Exif:
    """The EXIF block for a picture whose pixels have been turned."""
    exif = read_exif(block)
    exif.pop(ORIENTATION, None)
    return exif


def orientation_only(orientation: int) -> bytes:
    """The smallest EXIF block, without prefix, that says how to turn the picture."""
    header = struct.pack("<2sHL", b"II", 42, 8)
    short_integer, one_value = 3, 1
    entry = struct.pack("<HHLHH", ORIENTATION, short_integer, one_value, orientation, 0)
    no_more = struct.pack("<L", 0)
    return header + struct.pack("<H", 1) + entry + no_more
