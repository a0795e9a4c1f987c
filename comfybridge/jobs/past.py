"""The jobs that have ended, as far as a bridge's mirror keeps them in memory: what lists and searches need."""

from __future__ import annotations

import bisect
import time
from collections import OrderedDict
from dataclasses import dataclass

from comfybridge.jobs.job import Ending, Kind, Result

MOST = 100_000  # as many as the engine keeps
WHOLE = 128  # results kept whole, as whoever waits for one asks for it at once


@dataclass(frozen=True, slots=True)
class Past:
    """What is known at once of a job that has ended; `Board.result` has the rest.

    Attributes:
        subject: where its result is.
        until: seconds since 1970 until which its owner may have its result.
        removed: seconds since 1970 at which the engine removes its result: later, if it has a webhook.
    """

    id: str
    kind: Kind
    status: Ending
    owner: str | None
    created: float
    labels: dict[str, str]
    subject: str
    until: float
    removed: float


class PastJobs:
    """Not safe between threads: the board has the lock."""

    def __init__(self) -> None:
        self._jobs: dict[str, Past] = {}  # in the order in which they ended
        self._all: list[tuple[float, str]] = []  # the kept ones, sorted
        self._kept: dict[str | None, list[tuple[float, str]]] = {}  # likewise, by owner
        self._whole: OrderedDict[str, Result] = OrderedDict()
        self._names: dict[str | None, str | None] = {}  # each owner's name once
        self._added = 0

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def find(self, job_id: str) -> Past | None:
        return self._jobs.get(job_id)

    def whole(self, job_id: str) -> Result | None:
        """The result, if it is in memory."""
        return self._whole.get(job_id)

    def add(self, result: Result, subject: str, until: float, removed: float) -> None:
        """Add a result; one of the same job counts no longer."""
        self.discard(result.id)
        owner = self._names.setdefault(result.owner, result.owner)
        past = Past(
            result.id,
            result.kind,
            result.status,
            owner,
            result.created,
            result.labels or _NONE,
            subject,
            until,
            removed,
        )
        self._jobs[past.id] = past
        if past.kind == "kept":
            place = (past.created, past.id)
            bisect.insort(self._all, place)
            bisect.insort(self._kept.setdefault(owner, []), place)
        self.remember(result)
        self._added += 1
        if self._added % 1000 == 0:
            now = time.time()
            for job_id in [each.id for each in self._jobs.values() if each.removed <= now]:
                self.discard(job_id)
        if len(self._jobs) > MOST:
            self.discard(next(iter(self._jobs)))

    def remember(self, result: Result) -> None:
        """Keep a result whole for a while."""
        self._whole[result.id] = result
        self._whole.move_to_end(result.id)
        if len(self._whole) > WHOLE:
            self._whole.popitem(last=False)

    def discard(self, job_id: str) -> None:
        past = self._jobs.pop(job_id, None)
        self._whole.pop(job_id, None)
        if past is not None and past.kind == "kept":
            for line in (self._all, self._kept[past.owner]):
                del line[bisect.bisect_left(line, (past.created, past.id))]
            if not self._kept[past.owner]:
                del self._kept[past.owner]

    def ids(self, kind: Kind) -> set[str]:
        return {each.id for each in self._jobs.values() if each.kind == kind}

    def newest(self, owner: str | None) -> list[str]:
        """The ids of the kept jobs of one owner, or of all (None), the newest first."""
        line = self._all if owner is None else self._kept.get(owner, [])
        return [job_id for _, job_id in reversed(line)]


_NONE: dict[str, str] = {}
