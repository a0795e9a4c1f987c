"""Records how long nodes took on a server, as the basis for estimates."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

# Keys consist of node classes, models and sizes; a busy server has some hundreds.
MOST_KEYS = 2000
# The median of this many runs counts, so that the first, which loaded the model, and a disturbed one do not.
MOST_RUNS = 7


@dataclass(frozen=True, slots=True)
class Took:
    """One run of a node.

    Attributes:
        seconds: in all.
        units: the units that it reported, such as steps; 0 if none.
        unit_seconds: for each of these; None if that could not be measured.
        tail: seconds after the last of them.
        steps: how many the graph requests; None if unknown.
    """

    seconds: float
    units: float
    unit_seconds: float | None
    tail: float
    steps: int | None


class NodeTimes:
    """The last runs by key, for the most recently used keys. Safe to share between threads."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Hashable, deque[Took]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, runs: Sequence[tuple[Hashable, Took]]) -> None:
        """Record a run."""
        with self._lock:
            for key, took in runs:
                known = self._runs.get(key)
                if known is None:
                    self._runs[key] = deque((took,), MOST_RUNS)
                else:
                    known.append(took)
                    self._runs.move_to_end(key)
            while len(self._runs) > MOST_KEYS:
                self._runs.popitem(last=False)

    def of(self, key: Hashable) -> tuple[Took, ...]:
        """The last runs, the newest last."""
        with self._lock:
            return tuple(self._runs.get(key, ()))

    def __len__(self) -> int:
        return len(self._runs)
