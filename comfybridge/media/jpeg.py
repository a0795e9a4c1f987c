"""JPEG files as segments, up to where the picture itself begins (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from typing import NamedTuple

from comfybridge.media.containers import (
    EXIF_PREFIX,
    Malformed,
    TooMuch,
    claims_too_much,
    orientation_of,
    orientation_only,
)

# a segment's length field counts itself, two bytes
LARGEST_SEGMENT = 65535 - 2
# A progressive picture has some ten scans. Each goes over all pixels, so a file of thousands takes minutes to read.
MOST_SCANS = 100
MOST_SEGMENTS = 10_000
_START_OF_IMAGE = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
# in compressed data, each FF is followed by 00 or a restart marker
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_APP0, _APP1, _APP13, _COMMENT = 0xE0, 0xE1, 0xED, 0xFE


class Segment(NamedTuple):
    """A segment's marker (the byte behind 0xFF) and its content."""

    marker: int
    data: bytes


def split(data: bytes) -> tuple[list[Segment], bytes]:
    """The segments before the first scan, and everything from that scan on.

    Raises:
        Malformed: it is not a JPEG, or has no picture.
    """
    if not data.startswith(_START_OF_IMAGE):
        raise Malformed("it does not begin as a JPEG")
    segments: list[Segment] = []
    at = 2
    while True:
        if data[at : at + 1] != b"\xff":
            raise Malformed("it ends early, or holds something between its segments")
        while data[at + 1 : at + 2] == b"\xff":  # any number of fill bytes may precede a marker
            at += 1
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            raise Malformed("it ends early")
        marker = data[at + 1]
        if marker == _START_OF_SCAN:
            return segments, data[at:]
        segments.append(Segment(marker, data[at + 4 : at + 2 + length]))
        at += 2 + length


def check_parts(data: bytes) -> None:
    """Check the number of parts and the claims of the EXIF block; bytes after the end do not count.

    Raises:
        TooMuch: it has too many scans or segments, or too large an EXIF block.
    """
    at, scans, segments = 2, 0, 0
    blocks: list[bytes] = []
    while found := _MARKER.search(data, at):
        marker, at = found[0][1], found.end()
        if marker == _END_OF_IMAGE:
            break
        segments += 1
        scans += marker == _START_OF_SCAN
        if scans > MOST_SCANS or segments > MOST_SEGMENTS:
            raise TooMuch("it has too many parts")
        length = int.from_bytes(data[at : at + 2], "big")
        if marker == _APP1 and data.startswith(EXIF_PREFIX, at + 2):
            blocks.append(data[at + 2 + len(EXIF_PREFIX) : at + length])
        at += length
    if claims_too_much(b"".join(blocks)):  # Pillow reads them as one
        raise TooMuch("its EXIF claims more than there is")


def exif(data: bytes) -> bytes:
    """The EXIF block without its prefix; empty if there is none. Raises Malformed."""
    segments, _ = split(data)
    blocks = (segment.data for segment in segments if segment.marker == _APP1)
    return next((block[len(EXIF_PREFIX) :] for block in blocks if block.startswith(EXIF_PREFIX)), b"")


def stripped(data: bytes) -> bytes:
    """The JPEG without EXIF (except an orientation), XMP, IPTC and comments; profiles stay. Raises Malformed."""
    segments, picture = split(data)
    kept = [segment for segment in segments if segment.marker not in (_APP1, _APP13, _COMMENT)]
    orientation = orientation_of(exif(data))
    if orientation != 1:
        has_jfif = bool(kept) and kept[0].marker == _APP0
        kept.insert(int(has_jfif), Segment(_APP1, EXIF_PREFIX + orientation_only(orientation)))
    return _START_OF_IMAGE + b"".join(_packed(segment) for segment in kept) + picture


def _packed(segment: Segment) -> bytes:
    return bytes([0xFF, segment.marker]) + (len(segment.data) + 2).to_bytes(2, "big") + segment.data
