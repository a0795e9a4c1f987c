"""Downloads a file from ComfyUI."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from comfybridge.comfyui.transport import Answer
from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut

CHUNK = 3 * 128 * 1024  # bytes that are read at a time, at most


class Download:
    """A file's bytes, fetched while they are iterated, once. Close it, or iterate to the end.

    Iterating raises ComfyUIError if the file is incomplete, ComfyUIUnreachable if the bytes stop arriving, and
    TimedOut when the deadline passes.

    Args:
        answer: ComfyUI's answer, of which nothing has been read.
        call: the context manager of the call, which closes the answer and translates its errors.
        filename: for messages.
        deadline: when the download must be complete.
        part: which bytes of the file they are, as in HTTP's `Content-Range` header; empty for a whole file.

    Attributes:
        size: the number of bytes; None if ComfyUI, or a proxy in front of it, does not say.
    """

    def __init__(
        self,
        answer: Answer,
        call: contextlib.ExitStack,
        filename: str,
        deadline: Deadline | None,
        *,
        part: str = "",
    ) -> None:
        self.size = answer.length
        self.part = part
        self._answer = answer
        self._call = call
        self._filename = filename
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        with self._call:
            while chunk := self._next():
                yield chunk
            self._answer.check_length()

    def close(self) -> None:
        """Drop the connection, unless everything has arrived. May be called twice."""
        self._call.close()

    def _next(self) -> bytes:
        """The bytes received so far, blocking for the first; b"" at the end."""
        if self._deadline is not None and self._deadline.passed:  # a stream that never ends must end here
            raise TimedOut(f"The time was up while {self._filename!r} was being fetched from ComfyUI.")
        return self._answer.read_some(CHUNK)
