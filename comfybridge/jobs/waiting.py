"""A request that waits for a job, as other threads see it."""

from __future__ import annotations

import base64
import queue
from collections.abc import Callable

from comfybridge.errors import BridgeError
from comfybridge.jobs.board import What
from comfybridge.jobs.events import Heard
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.board import Elsewhere
from comfybridge.prompts.caller_progress import PromptProgress
from comfybridge.prompts.progress import Preview, Progress

SERVER = "the fleet"


class JobWait(Elsewhere):
    """Wakes the thread that waits for a job, when it ends or is given up.

    Args:
        admitted: the request.
        prompt_id: its job's id.
        last_progress: returns how far it was when that was last told to all.
    """

    def __init__(
        self, admitted: Admitted, prompt_id: str, last_progress: Callable[[], Progress | None] = lambda: None
    ) -> None:
        self.admitted = admitted
        self._preview: Preview | None = None
        self._progress: Progress | None = None
        self._last_progress = last_progress
        self._prompt_id = prompt_id
        self._news: queue.SimpleQueue[BridgeError | None] = queue.SimpleQueue()
        self._has_begun = False

    @property
    def prompt_id(self) -> str:
        """The prompt's id."""
        return self._prompt_id

    def stop(self, error: BridgeError) -> None:
        """Have the waiting thread raise this error."""
        self._news.put(error)

    def hear_change(self, _: str, what: What) -> None:
        """Hear of a change of the job."""
        if what == "claimed":
            self._has_begun = True
        elif what == "ended":
            self._news.put(None)

    def next(self, seconds: float) -> bool:
        """Wait for the job's end; returns whether it came within so many seconds.

        Raises:
            BridgeError: another thread gave the request up.
        """
        try:
            error = self._news.get(timeout=seconds)
        except queue.Empty:
            return False
        if error is not None:
            raise error
        return True

    def note(self, heard: Heard | None) -> None:
        """Remember what its events tell, where they are followed."""
        if isinstance(heard, Preview):
            self._preview = heard
        elif isinstance(heard, Progress):
            self._progress = heard

    def progress(self) -> PromptProgress:
        """How far it is."""
        told, seen = self._progress or self._last_progress(), self._preview
        preview = None
        if seen is not None:
            preview = seen.node_id, seen.media_type, base64.b64encode(seen.data).decode("ascii")
        counts = told is not None and told.max > 0
        return PromptProgress(
            self._prompt_id,
            SERVER,
            self._has_begun,
            0.0 if told is None else told.percent,
            None if told is None else told.eta_seconds,
            int(told.value) if told is not None and counts else None,
            int(told.max) if told is not None and counts else None,
            preview,
        )
