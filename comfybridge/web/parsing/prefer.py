"""The `Prefer` header (RFC 7240): whether a caller would rather have its answer later, and how long it would wait."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Request

HEADER = "Prefer"
APPLIED = "Preference-Applied"
LONGEST = 1000  # characters that are looked at

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
# a preference with its value, and its own parameters, which mean nothing here
_PREFERENCE = re.compile(rf"\s*({_TOKEN})\s*(?:=\s*({_VALUE})?)?\s*((?:;[^,\"]*(?:\"(?:[^\"\\]|\\.)*\"[^,\"]*)*)*)")
_SECONDS = re.compile(r"\d{1,9}")


@dataclass(frozen=True)
class Preference:
    """What a caller prefers.

    Attributes:
        is_later: whether it would rather be told at once that the request is accepted (`respond-async`).
        wait: how many seconds it would wait for the answer; None if it does not say.
    """

    is_later: bool = False
    wait: int | None = None


NOTHING = Preference()


def preference_of(request: Request) -> Preference:
    """What the current request prefers. Preferences that are unknown or malformed are ignored, as the RFC says."""
    header = request.headers.get(HEADER)  # several headers arrive joined by commas
    if header is None:
        return NOTHING
    found: dict[str, str] = {}
    at, header = 0, header[:LONGEST]
    while at < len(header):
        match = _PREFERENCE.match(header, at)
        if match is not None and header[match.end() : match.end() + 1] in ("", ","):
            name, value, _ = match.groups()
            found.setdefault(name.lower(), _unquoted(value or ""))  # of several, the first counts
            at = match.end()
        comma = header.find(",", at)
        at = len(header) if comma < 0 else comma + 1
    wait = found.get("wait", "")
    return Preference("respond-async" in found, int(wait) if _SECONDS.fullmatch(wait) else None)


def applied(preference: Preference) -> str:
    """The header that says which preferences were heeded; empty if there were none."""
    parts = ["respond-async"] if preference.is_later else []
    parts += [f"wait={preference.wait}"] if preference.wait is not None else []
    return ", ".join(parts)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
