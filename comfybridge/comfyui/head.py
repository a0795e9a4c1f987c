"""Writes the lines of a request's head, as RFC 9110 allows them."""

from __future__ import annotations

import re
from collections.abc import Mapping

TARGET = re.compile(r"[!-~]+")
FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FIELD_VALUE = re.compile(r"[\t -~\x80-\xff]*")


def fields_of(headers: Mapping[str, str]) -> bytes | None:
    """The lines of headers; None if HTTP can't carry them."""
    if not all(FIELD_NAME.fullmatch(name) and FIELD_VALUE.fullmatch(value) for name, value in headers.items()):
        return None
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def host_field(netloc: str) -> str:
    """A host as written in a header. A name that cannot be encoded returns ""; name lookup then reports it."""
    try:
        return netloc.encode("idna").decode() if not netloc.isascii() else netloc
    except UnicodeError:
        return ""
