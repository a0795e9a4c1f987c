"""EXIF's comment of the user (`UserComment`), into which AUTOMATIC1111 writes how a WebP or JPEG was made."""

from __future__ import annotations

from PIL import ExifTags

from comfybridge.media.containers import read_exif

_CODE_BYTES = 8
_UNICODE = b"UNICODE\0"


def user_comment(block: bytes) -> str:
    """The comment in an EXIF block; empty if there is none."""
    try:
        value = read_exif(block).get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except Exception:  # on an unusual block, Pillow may raise nearly anything
        return ""
    if isinstance(value, str):  # some programs write it as a text
        return value.strip("\0 ")
    if not isinstance(value, bytes):
        return ""
    code, content = value[:_CODE_BYTES], value[_CODE_BYTES:]
    return (_utf16(content) if code == _UNICODE else content.decode("utf-8", "replace")).strip("\0 ")


def _utf16(content: bytes) -> str:
    """The text in UTF-16, whose byte order programs choose as they like: nearly every text has some ASCII."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    is_little = content[1::2].count(0) > content[::2].count(0)
    return content.decode("utf-16-le" if is_little else "utf-16-be", "replace")
