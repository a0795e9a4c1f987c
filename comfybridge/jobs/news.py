"""The last progress of each job that runs, as agents tell it once a second."""

from __future__ import annotations

import threading
from collections import OrderedDict

from comfybridge.engine.engine import Engine
from comfybridge.jobs.events import event_from_bytes
from comfybridge.prompts.progress import Progress

SUBJECT = "comfybridge.progress."
MOST_KEPT = 10_000  # jobs; far more than run at once


class News:
    """Listens until it is closed. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._last: OrderedDict[str, Progress] = OrderedDict()
        self._lock = threading.Lock()
        self.close = engine.listen(f"{SUBJECT}*", self._hear)

    def progress_of(self, job_id: str) -> Progress | None:
        """The last progress of a job; None if none was heard."""
        return self._last.get(job_id)

    def forget(self, job_id: str) -> None:
        """Forget a job that has ended."""
        with self._lock:
            self._last.pop(job_id, None)

    def _hear(self, subject: str, data: bytes) -> None:
        event = event_from_bytes(data)
        if isinstance(event, Progress):
            with self._lock:
                job_id = subject.removeprefix(SUBJECT)
                self._last[job_id] = event
                self._last.move_to_end(job_id)
                if len(self._last) > MOST_KEPT:
                    self._last.popitem(last=False)
