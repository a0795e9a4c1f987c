"""Reports a prompt's progress to callers of the Python API."""

from __future__ import annotations

from collections.abc import Callable

from comfybridge.comfyui.events import Event
from comfybridge.comfyui.waiting.waiter import OnEvent
from comfybridge.prompts.overall_progress import meter_of
from comfybridge.prompts.progress import Progress
from comfybridge.prompts.submission import Submission

OnProgress = Callable[[Progress], None]


class Follower:
    """Listens to a prompt's events, and reports its progress.

    Args:
        on_event: called with each event.
    """

    def __init__(self, submission: Submission, on_progress: OnProgress, on_event: OnEvent | None = None) -> None:
        self._meter = meter_of(submission)
        self._on_progress = on_progress
        self._on_event = on_event

    def hear(self, event: Event) -> None:
        """Handle an event of the prompt."""
        if self._on_event is not None:
            self._on_event(event)
        for told in self._meter.read(event):
            if isinstance(told, Progress):
                self._on_progress(told)

    def follow(self, submission: Submission) -> None:
        """Continue with a prompt that was queued in place of the previous one."""
        self._meter.follow(submission)

    def end(self) -> None:
        """Report the end, if the events told of it."""
        end = self._meter.end()
        if end is not None:
            self._on_progress(end)
