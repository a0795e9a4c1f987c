"""Tells the fleet how far a running job is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from comfybridge.comfyui.events import Event
from comfybridge.engine.engine import Engine
from comfybridge.jobs.events import Heard, event_to_bytes
from comfybridge.prompts.overall_progress import Meter, meter_of
from comfybridge.prompts.progress import Preview, Progress
from comfybridge.prompts.submission import Submission

PROGRESS_SECONDS = 1.0
WATCHING_SECONDS = 5.0  # a bridge says every 2 s that someone follows the events
LARGEST_EVENT = 500_000  # bytes; NATS takes no message of more than a megabyte unless told to


class Watched:
    """Which jobs have someone who follows their events. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._heard: dict[str, float] = {}
        self._end = engine.listen("comfybridge.watching.*", self._hear)

    def has(self, job_id: str) -> bool:
        """Whether someone follows the events of a job."""
        return time.monotonic() - self._heard.get(job_id, float("-inf")) < WATCHING_SECONDS

    def forget(self, job_id: str) -> None:
        """The job has ended here."""
        self._heard.pop(job_id, None)

    def close(self) -> None:
        """Hear of them no longer."""
        self._end()

    def _hear(self, subject: str, _: bytes) -> None:
        now = time.monotonic()
        if len(self._heard) > 1000:  # most of them are run by others
            self._heard = {each: at for each, at in self._heard.items() if now - at < WATCHING_SECONDS}
        self._heard[subject.rpartition(".")[2]] = now


class Teller:
    """Tells of one run: its progress once a second, and all events while someone follows them.

    Args:
        is_watched: whether someone does.
    """

    def __init__(self, engine: Engine, job_id: str, is_watched: Callable[[], bool]) -> None:
        self._engine = engine
        self._job_id = job_id
        self._is_watched = is_watched
        self._meter: Meter | None = None
        self._told_at = float("-inf")
        self._lock = threading.Lock()  # so that progress is told in the order in which the meter computes it

    def begin(self, submission: Submission) -> None:
        """Tell of a submission from now on."""
        self._meter = meter_of(submission)

    def again(self, submission: Submission) -> None:
        """Go on with a submission in the place of an earlier one."""
        meter = self._meter
        if meter is not None:
            with self._lock:
                meter.follow(submission)

    def hear(self, event: Event) -> None:
        """Tell of what an event of ComfyUI shows."""
        meter = self._meter
        if meter is not None:
            with self._lock:
                for each in meter.read(event):
                    self._tell(each)

    def tick(self) -> None:
        """Tell of the progress, as far as it can be estimated, while no event arrives."""
        meter = self._meter
        if meter is not None and time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            with self._lock:
                progress = meter.still()
                if progress is not None:
                    self._tell(progress)

    def end(self) -> None:
        """The prompt has run."""
        meter, self._meter = self._meter, None
        if meter is not None and self._is_watched():
            with self._lock:
                progress = meter.end()
                if progress is not None:
                    self._tell(progress)

    def _tell(self, heard: Heard) -> None:
        now = time.monotonic()
        is_due = isinstance(heard, Progress) and now - self._told_at >= PROGRESS_SECONDS
        is_watched = self._is_watched()
        if not is_due and not is_watched:
            return
        if isinstance(heard, Preview) and len(heard.data) > LARGEST_EVENT:
            return
        sent = event_to_bytes(heard)
        if is_due:
            self._told_at = now
            self._engine.tell(f"comfybridge.progress.{self._job_id}", sent)
        if is_watched:
            self._engine.tell(f"comfybridge.event.{self._job_id}", sent)
