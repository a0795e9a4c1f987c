"""Limits how many requests may wait at once, and estimates when one more may."""

from __future__ import annotations

import threading

from comfybridge.durations import MeanSeconds, whole_seconds
from comfybridge.errors import Busy


class Slots:
    """The slots of this process, one for each request from before its prompt is queued until its answer has gone.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._taken = 0
        self._lock = threading.Lock()
        self._held = MeanSeconds()

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self._taken

    @property
    def has_free(self) -> bool:
        """Whether one more request could begin right now."""
        return self._taken < self.count

    def take(self, spare: int = 0) -> None:
        """Take one.

        Args:
            spare: how many must be free beside it.

        Raises:
            Busy: all are taken; its `retry_after` estimates when the next one will be free.
        """
        with self._lock:
            if self._taken + spare < self.count:
                self._taken += 1
                return
        raise self.busy()

    def busy(self) -> Busy:
        """The error that says that all are taken."""
        who = "The bridge's only slot is" if self.count == 1 else f"All {self.count} slots of the bridge are"
        return Busy(f"{who} taken.", retry_after=self.retry_after)

    def give_back(self, seconds: float | None) -> None:
        """Give one back.

        Args:
            seconds: how long it was held; None for a refused request, which says nothing about the next one.
        """
        with self._lock:
            self._taken -= 1
        if seconds is not None:
            self._held.add(seconds)

    @property
    def retry_after(self) -> int:
        """Seconds until the next one is given back, estimated from recent requests."""
        return whole_seconds(self._held.value(1.0) / self.count)
