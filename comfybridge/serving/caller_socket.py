"""A caller's connection, and the time limit for sending answers over it.

`caller_timeout` (settings) is the patience with a caller. One that reads slowly is served to the end; one that reads
nothing for that long is cut off.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import select
import socket
import struct
import time
from typing import Any

log = logging.getLogger(__name__)

# bytes a second that a body must bring, measured over each period of `patience` seconds
LEAST_RATE = 500
# A stuck answer is retried this often within the patience: the system does not report the little that a slow caller
# reads.
TRIES = 4

# Linux reports that the other side has closed even if earlier bytes have not been read.
CLOSED = getattr(select, "POLLRDHUP", 0)


class CallerTooSlow(ConnectionResetError):
    """The caller does not read. To the server it looks like one that hung up, which is no fault of ours."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.ECONNRESET, what)
        log.info("A connection was cut off: %s", what)


class CallerSocket(socket.socket):
    """A caller's connection. Takes the place of the socket given. Reading never waits, sending has patience.

    Args:
        patience: seconds; an answer must make some progress in each such time.
    """

    def __init__(self, taken: socket.socket, patience: float) -> None:
        super().__init__(taken.family, taken.type, taken.proto, taken.detach())
        super().settimeout(None)
        self._patience = patience
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(patience / TRIES))

    def take(self, size: int) -> bytes | None:
        """Up to `most` bytes that have arrived; b"" at the end, None if nothing has arrived.

        Raises:
            OSError: the connection is broken.
        """
        try:
            return self.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def has_left(self) -> bool:
        """Whether the caller has closed its side of the connection."""
        poll = select.poll()
        try:
            poll.register(self, CLOSED or select.POLLIN)
            if not poll.poll(0):
                return False
            return bool(CLOSED) or not self.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except (OSError, ValueError):  # it is closed
            return True

    def takes_more(self) -> bool:
        """Whether a short answer can be sent at once: the caller has read most of what was sent before."""
        poll = select.poll()
        try:
            poll.register(self, select.POLLOUT)
            return bool(poll.poll(0))
        except (OSError, ValueError):  # it is closed
            return True

    def give(self, data: bytes) -> None:
        """Send a short answer, or as much of it as can be sent without waiting."""
        with contextlib.suppress(OSError):
            self.send(data, socket.MSG_DONTWAIT)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As `socket.sendall`, with a time limit for each bit of progress.

        Raises:
            CallerTooSlow
        """
        rest = memoryview(data)
        since = time.monotonic()
        while rest:
            try:
                rest = rest[self.send(rest, flags) :]
            except BlockingIOError:
                if time.monotonic() - since > self._patience:
                    raise CallerTooSlow("the caller does not read the answer.") from None
            else:
                since = time.monotonic()


def _timeval(seconds: float) -> bytes:
    """C's `struct timeval`. No time at all would mean no limit."""
    microseconds = max(1, round(seconds * 1_000_000))
    return struct.pack("ll", *divmod(microseconds, 1_000_000))
