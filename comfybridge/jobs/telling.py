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
COMES = b"comes"  # what it says first
LARGEST_EVENT = 500_000  # bytes; NATS takes no message of more than a megabyte unless told to


class Watched:
    """Which jobs have someone who follows their events. Safe to share between threads.

    Args:
        came: called with the id of a job that another caller begins to follow. In the engine's thread: be quick.
    """

    def __init__(self, engine: Engine, came: Callable[[str], None] = lambda job_id: None) -> None:
        self._came = came
        self._heard: dict[str, float] = {}
        self.close = engine.listen("comfybridge.watching.*", self._hear)

    def has(self, job_id: str) -> bool:
        """Whether someone follows the events of a job."""
        return time.monotonic() - self._heard.get(job_id, float("-inf")) < WATCHING_SECONDS

    def _hear(self, subject: str, data: bytes) -> None:
        now = time.monotonic()
        if len(self._heard) > 1000:  # most of them are run by others, or have ended
            self._heard = {each: at for each, at in self._heard.items() if now - at < WATCHING_SECONDS}
        job_id = subject.rpartition(".")[2]
        self._heard[job_id] = now
        if data == COMES:
            self._came(job_id)


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
        self._told: Progress | None = None  # to all, last
        self._progress: Progress | None = None  # the newest
        self._preview: Preview | None = None  # the newest
        self._lock = threading.Lock()

    def tell(self, heard: Heard) -> None:
        """Tell one step."""
        with self._lock:
            if isinstance(heard, Progress):
                self._progress = heard
                if self._is_due(heard):
                    self._tell_all(heard)
            elif isinstance(heard, Preview):
                if len(heard.data) > LARGEST_EVENT:
                    return
                self._preview = heard
            if self.is_watched():
                self._tell_watchers(heard)

    def catch_up(self) -> None:
        """Tell all of the progress that came too soon after another. Call it about once a second."""
        with self._lock:
            progress = self._progress
            if progress is not None and progress is not self._told and self._is_due(progress):
                self._tell_all(progress)

    def show(self) -> None:
        """Tell how far it is to someone who has just come. Does not block."""
        for newest in (self._progress, self._preview):
            if newest is not None:
                self._tell_watchers(newest)

    def _is_due(self, progress: Progress) -> bool:
        is_next = self._told is None or self._told.node_id != progress.node_id
        return time.monotonic() - self._told_at >= (NODE_SECONDS if is_next else PROGRESS_SECONDS)

    def _tell_all(self, progress: Progress) -> None:
        self._told, self._told_at = progress, time.monotonic()
        self._engine.tell(f"comfybridge.progress.{self._job_id}", event_to_bytes(progress))

    def _tell_watchers(self, heard: Heard) -> None:
        self._engine.tell(f"comfybridge.event.{self._job_id}", event_to_bytes(heard))
