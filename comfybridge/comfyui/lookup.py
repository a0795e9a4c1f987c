"""Looking up prompts of which nothing was heard: still queued, finished, or lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient, ComfyUISilent, Queue
from comfybridge.comfyui.outcome import Prompt
from comfybridge.deadline import Deadline
from comfybridge.errors import PromptLost, TimedOut

# ComfyUI's queue carries every queued graph: 256 waiters that each fetched it every 3 s kept `/health` waiting for
# up to 112 ms. One look a second serves them all.
FRESH_SECONDS = 1.0
# So many times as long as a look took, nobody looks again; the second where the queue is as long as it must be.
REST = 20
REST_IF_LENGTH_FITS = 50


class PromptLookup:
    """Looks prompts up on one server, with one look at its queue for all that ask at about the same time."""

    def __init__(self, client: ComfyUIClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._look_seconds = 0.0
        self._queue = Queue((), ())
        self._failed_at = float("-inf")
        self._failure: ComfyUISilent | None = None

    @property
    def is_resting(self) -> bool:
        """Whether the last look at the queue was too dear to look again so soon."""
        return time.monotonic() - self._looked_at < REST * self._look_seconds

    def may_wait(self, ours: int, deadline: Deadline) -> bool:
        """Whether the next look at the queue may wait, as far as its length tells that nothing is wrong.

        A look at a queue of 4000 prompts takes 0.1 s of everybody's time, here and in ComfyUI; its length is cheap.

        Args:
            ours: how many prompts must be in it.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: ComfyUI could not be asked.
        """
        if time.monotonic() - self._looked_at >= REST_IF_LENGTH_FITS * self._look_seconds:
            return False
        return self.is_resting or self._client.queue_length(deadline) == ours

    def history_entry(self, prompt: Prompt, queued_at: float, deadline: Deadline) -> Mapping[str, Any] | None:
        """A prompt's history entry; None while it waits or runs.

        First the queue, then the history: the other way round, a prompt that finishes in between looks lost.

        Args:
            queued_at: a moment, on `time.monotonic()`'s clock, at which the prompt was certainly queued already.

        Raises:
            PromptLost: it is in neither.
            ComfyUIUnreachable, ComfyUIError, TimedOut: ComfyUI could not be asked.
        """
        if self.recent_queue(queued_at, deadline).holds(prompt.id):
            return None
        entry = self._client.history(prompt.id, deadline)
        if entry is None:
            raise PromptLost(
                "ComfyUI no longer has the prompt, neither queued nor finished: it was restarted, or somebody "
                "deleted the prompt.",
                prompt_id=prompt.id,
            )
        return entry

    def recent_queue(self, queued_at: float, deadline: Deadline) -> Queue:
        """The queue as it was less than a second ago, and after a prompt had been queued at that moment.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: ComfyUI could not be asked.
        """
        if not self._lock.acquire(timeout=deadline.remaining()):
            raise TimedOut("The time was up while ComfyUI's queue was being asked for.")
        try:
            now = time.monotonic()
            if self._failure is not None and now - self._failed_at < FRESH_SECONDS:
                raise type(self._failure)(self._failure.message, retry_after=self._failure.retry_after)
            if self._looked_at < max(queued_at, now - FRESH_SECONDS):
                self._look(now, deadline)
            return self._queue
        finally:
            self._lock.release()

    def _look(self, now: float, deadline: Deadline) -> None:
        self._failure = None
        try:
            self._queue = self._client.queue(deadline)
        except ComfyUISilent as error:  # it took long to find out: those who have waited for it need not ask again
            self._failure, self._failed_at = error, time.monotonic()
            raise
        self._looked_at = now
        self._look_seconds = time.monotonic() - now
