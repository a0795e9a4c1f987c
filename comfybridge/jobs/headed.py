"""Bytes that an agent streams to a bridge, behind a line of JSON that says what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from comfybridge.errors import ComfyUIError


class Headed:
    """The bytes behind the line, once. Close it, or iterate to its end.

    Args:
        pieces: the line and the bytes, cut anywhere.

    Attributes:
        head: the line.

    Raises:
        BridgeError: what the agent answers instead.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        try:
            while b"\n" not in self._rest:
                piece = next(pieces, b"")
                if not piece:
                    raise ComfyUIError("The agent's answer was cut off in the middle.")
                self._rest += piece
            line, _, self._rest = self._rest.partition(b"\n")
            self.head: Mapping[str, Any] = json.loads(line)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int | None:
        """How many bytes there are; None if the agent does not know."""
        size: int | None = self.head.get("size")
        return size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest or next(self._pieces)

    def close(self) -> None:
        """Read no more. May be called twice."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


def head(**facts: object) -> bytes:
    """The line that `Headed` reads."""
    return json.dumps(facts).encode() + b"\n"
