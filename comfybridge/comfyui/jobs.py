"""ComfyUI's job list, where it has one: `GET /api/jobs` since 0.6.0."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from comfybridge.comfyui.client import ComfyUIClient, NoJobList
from comfybridge.comfyui.queued import Job, Queue
from comfybridge.deadline import Deadline

T = TypeVar("T")

# A server that does not tell of its jobs is asked for them again after so long: it may have been upgraded at a
# restart, or the prompt may have gone that broke its list. After a downgrade, it shows at once that there is none.
LEFT_ALONE_SECONDS = 60.0


class JobList:
    """The job list of one server, which remembers whether there is one. Safe to share between threads.

    Each method raises NoJobList where there is none, mostly without asking; `GET /queue` tells the same, with every
    graph that waits. They also raise ComfyUIUnreachable, ComfyUIError and TimedOut: ComfyUI could not be asked.
    """

    def __init__(self, client: ComfyUIClient) -> None:
        self._client = client
        self._left_alone_until = float("-inf")

    def find(self, prompt_id: str, deadline: Deadline) -> Job | None:
        """A prompt that waits, runs or has ended; None if ComfyUI knows no such prompt."""
        return self._ask(lambda: self._client.job(prompt_id, deadline))

    def queue(self, deadline: Deadline) -> Queue:
        """What runs and what waits, without owners."""
        return self._ask(lambda: self._client.jobs(deadline))

    def running(self, deadline: Deadline) -> Queue:
        """What runs, and nothing of what waits."""
        return self._ask(lambda: self._client.jobs(deadline, running_only=True))

    def _ask(self, ask: Callable[[], T]) -> T:
        if time.monotonic() < self._left_alone_until:
            raise NoJobList("ComfyUI did not tell of its jobs a while ago.")
        try:
            return ask()
        except NoJobList:
            self._left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS
            raise
