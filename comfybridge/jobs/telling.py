"""Tells the fleet how far a running job is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from comfybridge.engine.engine import Engine
from comfybridge.jobs.events import Heard, event_to_bytes
from comfybridge.prompts.progress import Preview, Progress

PROGRESS_SECONDS = 1.0
NODE_SECONDS = 0.25  # so that of a run that is over sooner nothing is told
WATCHING_SECONDS = 5.0  # a bridge says every 2 s that someone follows the events
LARGEST_EVENT = 500_000  # bytes; NATS takes no message of more than a megabyte unless told to


class Watched:
    """Which jobs have someone who follows their events. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._heard: dict[str, float] = {}
        self.close = engine.listen("comfybridge.watching.*", self._hear)

    def has(self, job_id: str) -> bool:
        """Whether someone follows the events of a job."""
        return time.monotonic() - self._heard.get(job_id, float("-inf")) < WATCHING_SECONDS

    def _hear(self, subject: str, _: bytes) -> None:
        now = time.monotonic()
        if len(self._heard) > 1000:  # most of them are run by others, or have ended
            self._heard = {each: at for each, at in self._heard.items() if now - at < WATCHING_SECONDS}
        self._heard[subject.rpartition(".")[2]] = now


class Tidings:
    """What is told of one run: its progress once a second and at nodes; all events while someone follows them.

    Args:
        is_watched: whether someone does.
    """

    def __init__(self, engine: Engine, job_id: str, is_watched: Callable[[], bool]) -> None:
        self._engine = engine
        self._job_id = job_id
        self.is_watched = is_watched
        self._told_at = time.monotonic()
        self._node = ""  # that was told last
        self._left_out: Progress | None = None  # the newest progress, if it came too soon to be told
        self._lock = threading.Lock()

    def tell(self, heard: Heard) -> None:
        """Tell one step."""
        with self._lock:
            self._tell(heard)

    def catch_up(self) -> None:
        """Tell the progress that came too soon, if it is time. Call it about once a second."""
        with self._lock:
            if self._left_out is not None and time.monotonic() - self._told_at >= PROGRESS_SECONDS:
                self._tell(self._left_out)

    def _tell(self, heard: Heard) -> None:
        now = time.monotonic()
        seconds = now - self._told_at
        is_due = isinstance(heard, Progress) and (
            seconds >= PROGRESS_SECONDS or (heard.node_id != self._node and seconds >= NODE_SECONDS)
        )
        if isinstance(heard, Progress):
            self._left_out = None if is_due else heard
        is_watched = self.is_watched()
        if not is_due and not is_watched:
            return
        if isinstance(heard, Preview) and len(heard.data) > LARGEST_EVENT:
            return
        sent = event_to_bytes(heard)
        if isinstance(heard, Progress) and is_due:
            self._told_at, self._node = now, heard.node_id
            self._engine.tell(f"comfybridge.progress.{self._job_id}", sent)
        if is_watched:
            self._engine.tell(f"comfybridge.event.{self._job_id}", sent)
