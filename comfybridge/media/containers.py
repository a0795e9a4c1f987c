"""What the three containers have in common: how they fail, and the EXIF block that each can hold."""

from __future__ import annotations

import struct

from PIL import Image

from comfybridge.media.without_warnings import without_warnings

EXIF_PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112


class Malformed(Exception):
    """A file that is malformed; its message can follow "because"."""


class TooMuch(Malformed):
    """A file that is made so that reading it takes very long, or very much memory."""


# bytes of a value by its type (TIFF 6.0, section 2; BigTIFF)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_DIRECTORIES = (0x8769, 0x8825, 0xA005)  # tags that lead to further entries: Exif, GPS, interoperability
_MOST_ENTRIES = 100_000


def claims_too_much(block: bytes) -> bool:
    """Whether the values of a TIFF or an EXIF block, without prefix, are much larger together than the whole.

    Each value has a place in the block. If thousands claim the same place, Pillow before 13 makes as many copies, and
    20 MB become more than any memory holds.
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    if order is None or len(block) < 8:
        return False
    is_big = 43 in block[2:4]
    counter, entry, inline = ("Q", "HHQQ", 8) if is_big else ("H", "HHLL", 4)
    width, start = struct.calcsize(order + entry), struct.calcsize(order + counter)
    pending = [struct.unpack_from(order + ("Q" if is_big else "L"), block.ljust(16, b"\0"), 8 if is_big else 4)[0]]
    seen: set[int] = set()
    total = entries = 0
    while pending:
        at = pending.pop()
        if at in seen or at > len(block):
            continue
        seen.add(at)
        try:
            (count,) = struct.unpack_from(order + counter, block, at)
            for number in range(min(count, _MOST_ENTRIES)):
                tag, kind, items, value = struct.unpack_from(order + entry, block, at + start + number * width)
                size = items * _SIZES.get(kind, 0)
                # values that reach beyond the end, as in damaged blocks, are not read
                total += size if size > inline and value + size <= len(block) else 0
                entries += 1
                if tag in _DIRECTORIES:
                    pending.append(value)
        except struct.error:  # it ends early, which is reported elsewhere
            pass
        if total > 2 * len(block) or entries >= _MOST_ENTRIES:  # some entries share a value
            return True
    return False


def without_prefix(block: bytes) -> bytes:
    """The EXIF block from its TIFF header on."""
    while block.startswith(EXIF_PREFIX):
        block = block[len(EXIF_PREFIX) :]
    return block


def read_exif(block: bytes) -> Image.Exif:
    """The EXIF block, with or without its `Exif` prefix; an empty one if it makes no sense."""
    exif = Image.Exif()
    if block and not claims_too_much(without_prefix(block)):
        # on an unusual block, Pillow may raise nearly anything: struct.error, SyntaxError, KeyError, TypeError, ...
        try:
            with without_warnings():
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
