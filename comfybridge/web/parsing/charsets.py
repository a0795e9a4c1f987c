"""Decodes bodies: as UTF-8, or as their Content-Type or first bytes say."""

from __future__ import annotations

import codecs
import json

from flask import Request

from comfybridge.errors import InvalidRequest, UnsupportedMediaType

LONGEST_SHOWN = 60
# The charsets that are accepted. Python has other codecs, which do not encode characters.
CHARSETS = (
    *("UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE", "US-ASCII"),
    *(f"ISO-8859-{number}" for number in (*range(1, 12), *range(13, 17))),
    *(f"windows-{number}" for number in range(1250, 1259)),
    *("GB2312", "GBK", "GB18030", "Big5", "Shift_JIS", "EUC-JP", "ISO-2022-JP", "EUC-KR", "KOI8-R", "KOI8-U"),
)
_KNOWN = {codecs.lookup(name).name for name in CHARSETS}
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
# Their names leave the byte order open; the first bytes of JSON show it.
_OF_EITHER_ORDER = ("utf-16", "utf-32")


def charset_of(request: Request) -> str | None:
    """The codec of the charset that the Content-Type declares; None if it declares none.

    Raises:
        UnsupportedMediaType: it is unknown.
    """
    declared = request.mimetype_params.get("charset", "").strip()
    if not declared:
        return None
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        name = ""
    if name not in _KNOWN:
        raise UnsupportedMediaType(
            f"Content-Type declares the charset {declared[:LONGEST_SHOWN]!r}, which can't be read; a body can be "
            "UTF-8, UTF-16, UTF-32, ISO-8859-1 or another of the usual ones."
        )
    return name


def decoded(raw: bytes, charset: str | None, what: str, wanted: str) -> str:
    """The text of bytes that are JSON or similar. A byte order mark takes precedence over the charset.

    Args:
        charset: from `charset_of`.
        what: names them in the message.
        wanted: what they must be.

    Raises:
        InvalidRequest: they are not text.
    """
    codec = charset
    if charset is None or charset in _OF_EITHER_ORDER or raw.startswith(_MARKS):
        codec = json.detect_encoding(raw)
    try:
        return raw.decode(codec or "utf-8")
    except UnicodeError as error:
        place = f" (at byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        if charset is None and str(codec).startswith("utf-8"):
            wanted += ", as UTF-8 or with the charset that its Content-Type declares"
            raise InvalidRequest(f"{what} is not UTF-8 text{place}; {wanted}.") from None
        raise InvalidRequest(f"{what} is not {str(codec).upper()} text{place}; {wanted}.") from None
