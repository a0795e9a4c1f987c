"""What comes over a connection, in time as a whole and not only byte for byte.

A socket's timeout begins anew with every byte that comes, so what drips in would never be over.
"""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING

from comfybridge.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def patience(silence: float, deadline: Deadline | None) -> float:
    """Seconds to wait from now on: as long as silence is taken, and no longer than there is time."""
    return silence if deadline is None else min(silence, deadline.remaining())


class Incoming(io.RawIOBase):
    """The bytes of a connection, for an `io.BufferedReader`; closing it leaves the connection open.

    They are read in steps, such as a head, or a piece of a file: each has `patience` to come whole, else reading
    raises TimeoutError.
    """

    def __init__(self, connection: socket.socket, silence: float, deadline: Deadline | None) -> None:
        self._connection = connection
        self._silence = silence
        self._deadline = deadline
        self._until: float | None = None  # when the step must be over, once it needs what is not there yet

    def begin_step(self) -> None:
        """Let what is read from now on have its own time. (Where all is in the buffer, no clock is asked.)"""
        self._until = None

    def readable(self) -> bool:
        """Yes."""
        return True

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
        return self._connection.recv_into(buffer)
