"""Describes a file that was sent as a picture but that ComfyUI can't read as one."""

from __future__ import annotations

import re

from comfybridge.media.kinds import file_extension, media_type_of

# leading bytes, and where they stand
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance HDR picture"),
    (0, b"#?RGBE", "a Radiance HDR picture"),
    (0, b"II\x1a\0\0\0HEAPCCDR", "a camera's raw photo"),
    (0, b"IIU\0", "a camera's raw photo"),
    (0, b"IIRO", "a camera's raw photo"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw photo"),
    (8, b"CR\x02", "a camera's raw photo"),
    (4, b"ftypcrx ", "a camera's raw photo"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"gimp xcf", "a GIMP project"),
    (0, b"8BPS", "a Photoshop project"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (40, b" EMF", "a Windows metafile"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
)
_RAW_ENDINGS = {
    *("3fr", "arw", "cr2", "cr3", "dng", "erf", "kdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "pef", "raf", "raw"),
    *("rw2", "sr2", "srf", "srw", "x3f"),
}
_KINDS = {"video": "a video", "audio": "a sound", "3d": "a 3D model"}
_BEGINNING = 4096  # bytes in which an SVG or HTML file shows its kind, after comments
_DRAWING = re.compile(rb"<svg[\s>/]|<!doctype svg", re.IGNORECASE)
_PAGE = re.compile(rb"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=\r\n-]{64,}")


def foreign_kind(name: str, data: bytes) -> str | None:
    """A description of the bytes, such as "a HEIC photo"; None if they may be a picture, or are unknown.

    Args:
        name: the file's name, whose ending decides where the bytes do not.
    """
    ending = file_extension(data)
    if ending == "heic":
        return "a HEIC photo"
    kind = _KINDS.get(media_type_of(f"x.{ending}")[1]) if ending else None
    found = next((what for start, magic, what in _MAGIC if data.startswith(magic, start)), kind)
    if found is None and ending in (None, "tiff") and name.lower().rpartition(".")[2] in _RAW_ENDINGS:
        return "a camera's raw photo"
    return found or _written_kind(data)


def _written_kind(data: bytes) -> str | None:
    """The kind of a text file."""
    # some programs write UTF-16, in which every other byte is NUL
    start = data[:_BEGINNING].removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").replace(b"\0", b"").lstrip()
    if start.startswith(b"<"):
        if _PAGE.search(start):
            return "a web page"
        return "an SVG drawing" if _DRAWING.search(start) else "a text in XML"
    if start[:1] in (b"{", b"["):
        return "a text in JSON"
    is_encoded = start.startswith(b"data:") or _BASE64.fullmatch(start)
    return "a picture's base64, which must be decoded once more" if is_encoded else None
