"""Deadlines on the monotonic clock, so that setting the computer's clock neither shortens nor stretches them."""

from __future__ import annotations

import contextlib
import socket
import time


class Deadline:
    """A moment by which something must be done.

    Args:
        seconds: how long after `started` the deadline passes.
        started: when it began to count, on `time.monotonic()`'s clock; now if not given.

    Attributes:
        is_cut: whether it has passed early, as the process ends.
        blocked_on: the connection that its thread is waiting for, if any.
    """

    def __init__(self, seconds: float, started: float | None = None) -> None:
        self.seconds = seconds
        self.started = time.monotonic() if started is None else started
        self.is_cut = False
        self.blocked_on: socket.socket | None = None

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return 0.0 if self.is_cut else max(0.0, self.started + self.seconds - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining() <= 0

    def cut(self) -> None:
        """Have the deadline pass now, on shutdown, and wake its thread. May be called from any thread."""
        self.is_cut = True
        connection = self.blocked_on
        if connection is not None:
            with contextlib.suppress(OSError):  # it is closed already
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of an encrypted one, what is below

    def extend(self, seconds: float) -> None:
        """Extend the deadline by time lost outside the callee's control, in seconds."""
        self.seconds += seconds
