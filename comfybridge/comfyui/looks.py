"""Calls to a server whose result is shared by all threads that need it at about the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from comfybridge.comfyui.calls import ComfyUISilent
from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut

T = TypeVar("T")

# ComfyUI's queue contains every queued graph: 256 requests that each fetched it every 3 s delayed `/health` by up to
# 112 ms. One look a second serves them all.
FRESH_SECONDS = 1.0


class SharedLook(Generic[T]):
    """Makes one call to a server for all threads that need its result at about the same time.

    Safe to share between threads.

    Attributes:
        looked_at: when the last look began, on `time.monotonic()`'s clock.
        seconds: how long it took.
    """

    def __init__(self, ask: Callable[[Deadline], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self.looked_at = float("-inf")
        self.seconds = 0.0
        self._seen: T | None = None
        self._failed_at = float("-inf")
        self._failure: ComfyUISilent | None = None

    def is_fresh(self, at: float) -> bool:
        """Whether the last look is less than a second old, and from after a moment."""
        return self.looked_at >= max(at, time.monotonic() - FRESH_SECONDS)

    def take(self, at: float, deadline: Deadline) -> T:
        """The server's answer from less than a second ago, and from after a moment; calls it if there is none.

        Args:
            at: the moment, on `time.monotonic()`'s clock.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        if not self._lock.acquire(timeout=deadline.remaining()):
            raise TimedOut("The time was up while ComfyUI's queue was being asked for.")
        try:
            if self._failure is not None and time.monotonic() - self._failed_at < FRESH_SECONDS:
                raise type(self._failure)(self._failure.message, retry_after=self._failure.retry_after)
            if not self.is_fresh(at):
                self._look(deadline)
            assert self._seen is not None
            return self._seen
        finally:
            self._lock.release()

    def _look(self, deadline: Deadline) -> None:
        self._failure = None
        began = time.monotonic()
        try:
            self._seen = self._ask(deadline)
        except ComfyUISilent as error:  # the call took long: threads that waited for it need not repeat it
            self._failure, self._failed_at = error, time.monotonic()
            raise
        self.looked_at, self.seconds = began, time.monotonic() - began
