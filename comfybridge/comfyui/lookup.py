"""Looks up prompts that have been silent: still queued, finished, or lost.

A server's job list takes a fraction of the time of its queue, which contains every graph. The queue is read if there
is no such list, or if the owners of the prompts matter.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from comfybridge.comfyui import looks
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.jobs import JobList, NoJobList
from comfybridge.comfyui.looks import SharedLook
from comfybridge.comfyui.outcome import Prompt
from comfybridge.comfyui.queued import Job, Queue
from comfybridge.deadline import Deadline
from comfybridge.errors import PromptLost

# After a look, no other one happens for this many times its duration; the second factor if the queue has the expected
# length.
REST = 20
REST_IF_LENGTH_FITS = 50
# This many silent prompts are looked up by their ids within a second; for more, one look at the whole queue is
# cheaper. On ComfyUI 0.33.0 with 500 graphs of 1.4 kB waiting: 2 ms by the id, 10 ms for the job list (84 kB), 48 ms
# for the queue (784 kB).
MOST_BY_ID = 4


class PromptLookup:
    """Looks up prompts on one server, with one look at its queue for all threads that ask at about the same time."""

    def __init__(self, client: ComfyUIClient) -> None:
        self._client = client
        self._jobs = JobList(client)
        self._owned = SharedLook(client.queue)
        self._queue = SharedLook(self._jobs.queue)
        self._running = SharedLook(self._jobs.running)
        self._counting = threading.Lock()
        self._asked_by_id: deque[float] = deque(maxlen=MOST_BY_ID)

    @property
    def is_resting(self) -> bool:
        """Whether the last look at the queue was too expensive to look again so soon."""
        last = self._last_look
        return time.monotonic() - last.looked_at < REST * last.seconds

    def may_wait(self, ours: int, deadline: Deadline) -> bool:
        """Whether the next look at the queue may wait, because its length shows that nothing is missing.

        Reading a queue of 4000 prompts blocks both the bridge and ComfyUI for 0.1 s; its length is cheap.

        Args:
            ours: how many prompts of the bridge must be in it.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        last = self._last_look
        if time.monotonic() - last.looked_at >= REST_IF_LENGTH_FITS * last.seconds:
            return False
        return self.is_resting or self._client.queue_length(deadline) == ours

    def history_entry(self, prompt: Prompt, queued_at: float, deadline: Deadline) -> Mapping[str, Any] | None:
        """A prompt's history entry; None while it waits or runs.

        It reads the queue first and then the history: in the other order, a prompt that finishes in between looks
        lost.

        Args:
            queued_at: a moment at which the prompt was certainly queued, on `time.monotonic()`'s clock.

        Raises:
            PromptLost: it is in neither.
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        if self._is_unfinished(prompt.id, queued_at, deadline):
            return None
        entry = self._client.history(prompt.id, deadline)
        if entry is None:
            raise PromptLost(
                "ComfyUI no longer has the prompt, neither queued nor finished: it was restarted, or someone "
                "deleted the prompt.",
                prompt_id=prompt.id,
            )
        return entry

    def find(self, prompt_id: str, at: float, deadline: Deadline) -> Job | None:
        """A prompt that waits or runs, as of a moment after the call; None if it does neither.

        Args:
            at: the moment, on `time.monotonic()`'s clock.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        if not self._last_look.is_fresh(at):
            with contextlib.suppress(NoJobList):
                job = self._jobs.find(prompt_id, deadline)
                if job is None or job.status != "ended":
                    return job
                # it may have been queued again under the same id
        return self.recent_queue(at, deadline).find(prompt_id)

    def find_of(self, prompt_id: str, owner: str | None, deadline: Deadline) -> Job | None:
        """A prompt that waits or runs now and has the given owner; None if there is none. Otherwise as `find`.

        Args:
            owner: None: any.
        """
        now = time.monotonic()
        job = self.find(prompt_id, now, deadline)
        if job is None or owner is None:
            return job
        queue = self.recent_queue(now, deadline, with_owners=True)
        return queue.find(prompt_id) if queue.is_of(prompt_id, owner) else None

    def recent_queue(self, at: float, deadline: Deadline, *, with_owners: bool = False) -> Queue:
        """The queue as of less than a second ago, and after a moment.

        Args:
            at: the moment, on `time.monotonic()`'s clock.
            with_owners: whether the owners of the prompts are needed, which the job list does not have.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        if not with_owners and not self._owned.is_fresh(at):
            with contextlib.suppress(NoJobList):
                return self._queue.take(at, deadline)
        return self._owned.take(at, deadline)

    def running(self, at: float, deadline: Deadline) -> Queue:
        """The running prompts, and perhaps the waiting ones, as of less than a second ago, and after a moment.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        return self.cheaply_running(at, deadline) or self.recent_queue(at, deadline)

    def cheaply_running(self, at: float, deadline: Deadline) -> Queue | None:
        """As `running`; None if only the whole queue shows it."""
        with contextlib.suppress(NoJobList):
            return self._running.take(at, deadline)
        return None

    @property
    def _last_look(self) -> SharedLook[Queue]:
        return max(self._queue, self._owned, key=lambda look: look.looked_at)

    def _is_unfinished(self, prompt_id: str, queued_at: float, deadline: Deadline) -> bool:
        if not self._last_look.is_fresh(queued_at) and self._may_ask_by_id():
            with contextlib.suppress(NoJobList):
                job = self._jobs.find(prompt_id, deadline)
                return job is not None and job.status != "ended"
        return self.recent_queue(queued_at, deadline).holds(prompt_id)

    def _may_ask_by_id(self) -> bool:
        """Whether one more prompt may be looked up by its id now; counts it if so."""
        now = time.monotonic()
        with self._counting:
            times = self._asked_by_id
            if len(times) == MOST_BY_ID and now - times[0] < looks.FRESH_SECONDS:
                return False
            times.append(now)
            return True
