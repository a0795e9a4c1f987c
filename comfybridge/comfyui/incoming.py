"""An HTTP answer as it comes over a connection, within limits of time and size.

A socket's timeout begins anew with every byte that comes, so what drips in would never be over; and the standard
library's reader skips any number of announcements and trailers.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from typing import TYPE_CHECKING

from comfybridge.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Bytes of a head, or of what else is read in one step: no server needs a tenth of it, beside the body itself, of
# which less is read at a time.
MOST_IN_STEP = 1024 * 1024
LENGTH = re.compile(r"[0-9]{1,18}")


class Misframed(http.client.HTTPException):
    """The end of the answer can't be told. The message says why, as in "answers with two different lengths"."""


def patience(silence: float, deadline: Deadline | None) -> float:
    """Seconds to wait from now on: as long as silence is taken, and no longer than there is time."""
    return silence if deadline is None else min(silence, deadline.remaining())


class Incoming(io.RawIOBase):
    """The bytes of a connection; closing it leaves the connection open.

    They are read in steps, such as a head, or a piece of a file: each has `patience` to come whole, else reading
    raises TimeoutError, and must not be larger than `MOST_IN_STEP`, else reading raises HTTPException.
    """

    def __init__(self, connection: socket.socket, silence: float, deadline: Deadline | None) -> None:
        self._connection = connection
        self._silence = silence
        self._deadline = deadline
        self._until: float | None = None  # when the step must be over, once it needs what is not there yet
        self._in_step = 0
        self._received = 0
        self._has_ended = False

    def begin_step(self) -> None:
        """Let what is read from now on have its own time. (Where all is in the buffer, no clock is asked.)"""
        self._until = None
        self._in_step = 0

    def read_head(self) -> http.client.HTTPResponse:
        """Read an answer's head; its body can be read then.

        Raises:
            OSError, http.client.HTTPException: it does not come, or not in time as a whole, or is none.
            Misframed: its body would have no end that can be told.
        """
        response = http.client.HTTPResponse(self)  # type: ignore[arg-type]  # of a socket, it takes `makefile`
        response.begin()
        if self._has_ended:  # which `http.client` takes for the end of the head
            raise http.client.RemoteDisconnected("The connection was closed in the middle of an answer's head.")
        _check_framing(response.headers)
        return response

    def has_more(self) -> bool:
        """Whether a further byte is there at the moment. One that was waiting on the connection is lost."""
        try:
            self._connection.settimeout(0)
            return bool(self._connection.recv(1))
        except OSError:
            return False

    def makefile(self, mode: str) -> io.BufferedReader:
        """Itself with a buffer, as `http.client` asks a socket for it."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """How many bytes have come."""
        return self._received

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """What has come, and at least one byte; 0 at the end."""
        deadline = self._deadline
        if deadline is None:
            return self._read(buffer)
        deadline.blocked_on = self._connection
        try:
            if deadline.is_cut:
                raise TimeoutError
            return self._read(buffer)
        finally:
            deadline.blocked_on = None

    def _read(self, buffer: WriteableBuffer) -> int:
        if self._until is None:
            left = patience(self._silence, self._deadline)
            self._until = time.monotonic() + left
        else:
            left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        self._has_ended = not count
        self._received += count
        self._in_step += count
        if self._in_step > MOST_IN_STEP:
            raise http.client.HTTPException("The head of the answer, or its end, is too long.")
        return count


def _check_framing(headers: http.client.HTTPMessage) -> None:
    """Refuse what `http.client` would read to the end of the connection, or to the first of two ends."""
    encodings = headers.get_all("transfer-encoding")
    if encodings is not None:
        if len(encodings) > 1 or encodings[0].lower() != "chunked":
            raise Misframed("answers with a Transfer-Encoding other than chunked")
        return
    lengths = headers.get_all("content-length")
    if lengths is not None:
        if len(set(lengths)) > 1:
            raise Misframed("answers with two different lengths")
        if not LENGTH.fullmatch(lengths[0].strip()):
            raise Misframed("answers with a length that is not a number of bytes")
