"""The last progress of each job that runs, as agents tell it once a second."""

from __future__ import annotations

import threading
from collections import OrderedDict

from comfybridge.engine.engine import Engine
from comfybridge.jobs.board import Board, What
from comfybridge.jobs.events import event_from_bytes
from comfybridge.prompts.progress import Progress

SUBJECT = "comfybridge.progress."
MOST_KEPT = 10_000  # jobs; far more than run at once


class News:
    """Listens until it is closed. Safe to share between threads."""

    def __init__(self, engine: Engine, board: Board) -> None:
        self._last: OrderedDict[str, Progress] = OrderedDict()
        self._lock = threading.Lock()
        self._ends = [engine.listen(f"{SUBJECT}*", self._hear), board.changes(self._hear_change)]

    def close(self) -> None:
        """Listen no longer."""
        for end in self._ends:
            end()

    def progress_of(self, job_id: str) -> Progress | None:
        """The last progress of a job; None if none was heard."""
        return self._last.get(job_id)

    def _hear(self, subject: str, data: bytes) -> None:
        event = event_from_bytes(data)
        if isinstance(event, Progress):
            with self._lock:
                job_id = subject.removeprefix(SUBJECT)
                self._last[job_id] = event
                self._last.move_to_end(job_id)
                if len(self._last) > MOST_KEPT:
                    self._last.popitem(last=False)

    def _hear_change(self, job_id: str, what: What) -> None:
        if what in ("given_back", "ended", "gone"):  # a job that is given back begins anew
            with self._lock:
                self._last.pop(job_id, None)
