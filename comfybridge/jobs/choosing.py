"""Which job goes next: the highest priority first; within it the owner with the fewest running jobs, of those the one
served longest ago; of its jobs the oldest.
"""

from __future__ import annotations

import bisect
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Age = tuple[float, int, str]  # when it came, its sequence, its id: the order within a line
LATER = 1e12  # later than any time, in seconds
Standing = tuple[int, float, str]  # running jobs, when served last, the owner


@dataclass(frozen=True)
class Need:
    """What the jobs of a line have in common: who can run them, and their owner's limit of running jobs."""

    classes: tuple[str, ...]
    models: tuple[tuple[str, str, str], ...]
    most_running: int | None


@dataclass(frozen=True)
class Place:
    """Where a job waits."""

    priority: int
    owner: str
    need: Need
    age: Age


class Waiting:
    """The jobs that wait, in lines by priority, owner and need.

    The order is worked out as far as it is asked for: the first of 10,000 costs no more than the first of ten.
    """

    def __init__(self) -> None:
        self._lines: dict[int, dict[str, dict[Need, list[Age]]]] = {}
        self._standings: dict[int, list[Standing]] = {}  # sorted; the owners that wait, by priority
        self._running: Counter[str] = Counter()
        self._served: dict[str, float] = {}
        self._count: Counter[str] = Counter()

    def add(self, place: Place) -> None:
        """Put a job in its line."""
        owners = self._lines.setdefault(place.priority, {})
        if place.owner not in owners:
            owners[place.owner] = {}
            bisect.insort(self._standings.setdefault(place.priority, []), self._standing(place.owner))
        bisect.insort(owners[place.owner].setdefault(place.need, []), place.age)
        self._count[place.owner] += 1

    def discard(self, place: Place) -> None:
        """Take a job out of its line."""
        lines = self._lines[place.priority][place.owner]
        _remove(lines[place.need], place.age)
        self._count[place.owner] -= 1
        if not lines[place.need]:
            del lines[place.need]
        if not lines:
            del self._lines[place.priority][place.owner]
            _remove(self._standings[place.priority], self._standing(place.owner))

    def began(self, owner: str, at: float) -> None:
        """One more job of an owner runs, since a time."""
        self._stand(owner, 1, max(at, self._served.get(owner, 0.0)))

    def stopped(self, owner: str) -> None:
        """One job of an owner runs no longer."""
        self._stand(owner, -1, self._served.get(owner, 0.0))

    def count(self, owner: str) -> int:
        """How many jobs of an owner wait."""
        return self._count[owner]

    def order(
        self, can_run: Callable[[Need], bool] | None = None, is_free: Callable[[str], bool] = lambda job_id: True
    ) -> Iterator[str]:
        """The ids of the waiting jobs in the order in which they go, if each one that goes keeps running.

        Args:
            can_run: leaves out the jobs for which it is false, and those whose owner runs as many as it may. Without
                it, all come.
            is_free: leaves out the jobs for which it is false.
        """
        for priority in sorted(self._lines, reverse=True):
            owners = self._lines[priority]
            heap = list(self._standings[priority])  # sorted, therefore a heap
            jobs: dict[str, Iterator[tuple[Age, Need]]] = {}
            turn = LATER
            while heap:
                running, _, owner = heap[0]
                if owner not in jobs:
                    jobs[owner] = _merged(owners[owner], can_run)
                job_id = next(
                    (
                        age[2]
                        for age, need in jobs[owner]
                        if is_free(age[2])
                        and (can_run is None or need.most_running is None or running < need.most_running)
                    ),
                    None,
                )
                if job_id is None:
                    heapq.heappop(heap)
                    continue
                yield job_id
                turn += 1
                heapq.heapreplace(heap, (running + 1, turn, owner))

    def _standing(self, owner: str) -> Standing:
        return self._running[owner], self._served.get(owner, 0.0), owner

    def _stand(self, owner: str, more: int, served: float) -> None:
        """Change an owner's standing, in all lists that have it."""
        lists = [self._standings[priority] for priority, owners in self._lines.items() if owner in owners]
        for standings in lists:
            _remove(standings, self._standing(owner))
        self._running[owner] += more
        self._served[owner] = served
        for standings in lists:
            bisect.insort(standings, self._standing(owner))


def _merged(lines: dict[Need, list[Age]], can_run: Callable[[Need], bool] | None) -> Iterator[tuple[Age, Need]]:
    """The jobs of one owner that can be run, the oldest first."""
    able = [_each(line, need) for need, line in lines.items() if can_run is None or can_run(need)]
    return able[0] if len(able) == 1 else heapq.merge(*able)


def _each(line: list[Age], need: Need) -> Iterator[tuple[Age, Need]]:
    for age in line:
        yield age, need


def _remove(ordered: list[Any], item: Any) -> None:
    """Remove an item from a sorted list that has it."""
    del ordered[bisect.bisect_left(ordered, item)]
