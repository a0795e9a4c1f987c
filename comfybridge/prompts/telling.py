"""Tells how a request goes on while it waits and runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from comfybridge.comfyui.events import Event
from comfybridge.errors import BridgeError
from comfybridge.prompts.overall_progress import Meter, meter_of
from comfybridge.prompts.progress import Preview, Progress, Queued, eta_of
from comfybridge.prompts.submission import Submission

Told = Queued | Progress | Preview


class Teller:
    """Tells of one request. Safe to share between threads.

    Args:
        tell: called with each step, in their order; be quick.
        is_followed: whether its position, progress and previews are told, or only that it is queued.
        tells_position: whether its position is worth a call of ComfyUI now.
    """

    def __init__(
        self, tell: Callable[[Told], None], *, is_followed: bool, tells_position: Callable[[], bool] = lambda: True
    ) -> None:
        self.tell = tell
        self.is_followed = is_followed
        self._tells_position = tells_position
        self._meter: Meter | None = None  # once a prompt is followed
        self._telling = threading.Lock()  # so that progress is told in the order in which the meter computes it

    @property
    def estimates(self) -> bool:
        """Whether `still` may have something to tell."""
        return self._meter is not None

    def queued(self, submission: Submission, position_of: Callable[[Submission], int]) -> None:
        """Tell that a prompt is queued, and follow it; also one in place of another."""
        self.tell(self._queued(submission, position_of))
        if not self.is_followed:
            return
        with self._telling:
            if self._meter is None:
                self._meter = meter_of(submission)
            else:
                self._meter.follow(submission)

    def hear(self, event: Event) -> None:
        """Tell of an event of the prompt."""
        if self._meter is not None:
            with self._telling:
                for each in self._meter.read(event):
                    self.tell(each)

    def still(self) -> None:
        """Tell the progress while no event arrives, if it has changed."""
        if self._meter is not None:
            with self._telling:
                told = self._meter.still()
                if told is not None:
                    self.tell(told)

    def end(self) -> None:
        """Tell the end, if an event reported the prompt's success."""
        if self._meter is not None:
            with self._telling:
                told = self._meter.end()
                if told is not None:
                    self.tell(told)

    def _queued(self, submission: Submission, position_of: Callable[[Submission], int]) -> Queued:
        prompt_id, prompt_ids = submission.prompt.id, tuple(part.prompt.id for part in submission.parts)
        if self.is_followed and self._tells_position():
            with contextlib.suppress(BridgeError):  # the waiting thread will report it if ComfyUI is gone
                position = position_of(submission)
                return Queued(prompt_id, position, eta_of(submission, position), prompt_ids)
        return Queued(prompt_id, None, None, prompt_ids)
