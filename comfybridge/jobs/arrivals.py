"""Small files that agents send before the results of live jobs, to a subject of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from comfybridge.engine.engine import Engine


@dataclass(frozen=True)
class Arrived:
    """What has arrived for one job.

    Attributes:
        files: by the run that has made them, and the number of the output. A job may have been run by an agent that
            died before it could hand in the result, with another seed.
        end: expect no more.
    """

    end: Callable[[], None]
    files: dict[tuple[str, int], bytes] = field(default_factory=dict)


class Arrivals:
    """Keeps what arrives for jobs that are waited for. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._inbox = ""
        self._expected: dict[str, Arrived] = {}

    def inbox(self, engine: Engine) -> str:
        """The subject that they are sent to."""
        with self._lock:
            if self._engine is not engine:
                inbox = engine.new_inbox()
                engine.listen(f"{inbox}.*.*.*", self._hear)
                self._engine, self._inbox = engine, inbox
            return self._inbox

    def of(self, job_id: str) -> Arrived:
        """Expect files of a job; they come into what is returned."""
        arrived = self._expected[job_id] = Arrived(lambda: self._forget(job_id))
        return arrived

    def _forget(self, job_id: str) -> None:
        self._expected.pop(job_id, None)

    def _hear(self, subject: str, data: bytes) -> None:
        job_id, run, number = subject.split(".")[-3:]
        arrived = self._expected.get(job_id)
        if arrived is not None:
            arrived.files[run, int(number)] = data
