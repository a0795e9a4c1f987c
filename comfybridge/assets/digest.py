"""The hash of a file's bytes, by which equal files are recognized."""

from __future__ import annotations

import hashlib
import re
from typing import Any

PREFIX = "blake3:"
NAME_DIGITS = 40  # of a file's name
_HASH = re.compile(r"(?:blake3:)?([0-9a-f]{64})", re.IGNORECASE)


class Digest:
    """Takes bytes as they come. Without the library `blake3`, there is a name but no hash."""

    def __init__(self) -> None:
        self._sum: Any
        try:
            from blake3 import blake3
        except ImportError:  # no wheel for this machine
            self._sum, self._prefix = hashlib.sha256(), ""
        else:
            self._sum, self._prefix = blake3(), PREFIX

    def update(self, data: bytes) -> None:
        """Take some more bytes."""
        self._sum.update(data)

    @property
    def hash(self) -> str | None:
        """`blake3:HEX`."""
        return f"{self._prefix}{self._sum.hexdigest()}" if self._prefix else None

    @property
    def name(self) -> str:
        """The beginning of a name that no other file has."""
        return str(self._sum.hexdigest())[:NAME_DIGITS]


def parse_hash(text: str) -> str | None:
    """A hash as `Digest.hash` writes it; None for any other text."""
    found = _HASH.fullmatch(text)
    return None if found is None else PREFIX + found[1].lower()
