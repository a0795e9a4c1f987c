"""A caller's connection, and how long it is waited for: nobody may hold a thread, let alone a slot, for ever.

`caller_timeout` (settings) is the patience with a caller. Within it

- the head of a request must have come;
- `LEAST_RATE` bytes a second must come of its body;
- some more of the answer must have been read; who reads slowly is served to the end, who does not read at all is not.
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

# bytes a second
LEAST_RATE = 500
# What is read of a request before a thread takes it: heads are smaller, and so are most bodies.
READ_AHEAD = 16 * 1024
# A head that has not ended by then is for the server's own limits to refuse.
LONGEST_HEAD = 64 * 1024
# More than that is not copied to be sent with the head of an answer.
LARGEST_JOINED = 16 * 1024
# An answer that is stuck is tried so often within the patience. The system itself wakes nobody up for the little that
# a slow caller reads.
TRIES = 4


class CallerTooSlow(ConnectionResetError):
    """The caller neither sends nor reads. To the server it looks like one who hung up, which is no fault of ours."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.ECONNRESET, what)
        log.info("A connection was cut off: %s", what)


class CallerSocket(socket.socket):
    """A caller's connection: bytes that were read ahead, and an end to patience. Takes the place of the one given.

    `recv` and `sendall` raise CallerTooSlow where the caller keeps them waiting.

    Args:
        patience: seconds; a body must bring `LEAST_RATE` in each such time, an answer make some progress.
    """

    def __init__(self, taken: socket.socket, patience: float) -> None:
        super().__init__(taken.family, taken.type, taken.proto, taken.detach())
        super().settimeout(None)
        self._patience = patience
        self._limit: float | None = None
        self._ahead = b""
        self._head = b""  # of an answer that has not gone yet
        self._came = 0  # of this request, since `_since`
        self._since = time.monotonic()
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(patience))
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(patience / TRIES))

    def setblocking(self, flag: bool) -> None:
        """Does nothing, as each change would be a system call: who must not wait says so with each read."""

    def settimeout(self, value: float | None) -> None:
        """Have `recv` wait no longer than that, where it has to wait at all."""
        self._limit = value

    def gettimeout(self) -> float | None:
        """What `settimeout` was told."""
        return self._limit

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request was read ahead."""
        return bool(self._ahead)

    @property
    def has_head(self) -> bool:
        """Whether the head of a request was read ahead as a whole, or is so long that it can't be waited for."""
        # lines that end without a carriage return are for the server to refuse
        return b"\n\r\n" in self._ahead or b"\n\n" in self._ahead or len(self._ahead) > LONGEST_HEAD

    def read_ahead(self) -> None:
        """Take what has come of a request, without waiting, for `recv` to give it.

        Raises:
            BlockingIOError: nothing has come.
            ConnectionResetError: the caller has hung up.
        """
        data = super().recv(READ_AHEAD, socket.MSG_DONTWAIT)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the caller hung up")
        self._ahead += data

    def await_head(self, seconds: float) -> None:
        """Wait for the next request's first bytes, if there are none yet.

        Raises:
            ConnectionResetError: the caller has hung up.
        """
        if self._ahead:
            return
        poll = select.poll()
        poll.register(self, select.POLLIN)
        if poll.poll(seconds * 1000):
            with contextlib.suppress(BlockingIOError):
                self.read_ahead()

    def begin(self) -> None:
        """From now on a request's body is expected."""
        self._came, self._since = 0, time.monotonic()

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As ever, but what was read ahead comes first.

        Raises:
            CallerTooSlow
        """
        if self._ahead and not flags:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        if self._limit is not None:
            super().settimeout(self._limit)
            try:
                return super().recv(size, flags)
            finally:
                super().settimeout(None)
        try:
            data = super().recv(size, flags)
        except BlockingIOError:
            raise CallerTooSlow("nothing came of a request's body.") from None
        self._came += len(data)
        now = time.monotonic()
        if now - self._since > self._patience:
            if data and self._came < LEAST_RATE * self._patience:
                raise CallerTooSlow("a request's body came too slowly.")
            self._came, self._since = 0, now
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As ever, but that the head of an answer goes together with what follows it, or with `flush`.

        Raises:
            CallerTooSlow
        """
        if not self._head and data.startswith(b"HTTP/1.") and data.endswith(b"\r\n\r\n"):
            self._head = data
            return
        head, self._head = self._head, b""
        if head and len(data) > LARGEST_JOINED:
            self._send_all(head)
        elif head:
            data = head + data
        self._send_all(data)

    def flush(self) -> None:
        """Send the head of an answer that nothing follows.

        Raises:
            CallerTooSlow
        """
        if self._head:
            self.sendall(b"")

    def shutdown(self, how: int, /) -> None:
        """As ever."""
        with contextlib.suppress(OSError):
            self.flush()
        super().shutdown(how)

    def _send_all(self, data: Any) -> None:
        rest = memoryview(data)
        since = time.monotonic()
        while rest:
            try:
                rest = rest[self.send(rest) :]
            except BlockingIOError:
                if time.monotonic() - since > self._patience:
                    raise CallerTooSlow("nobody reads the answer.") from None
            else:
                since = time.monotonic()


def _timeval(seconds: float) -> bytes:
    """C's `struct timeval`. No time at all would mean no limit."""
    microseconds = max(1, round(seconds * 1_000_000))
    return struct.pack("ll", *divmod(microseconds, 1_000_000))
