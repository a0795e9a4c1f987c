"""How long the nodes of a server took there, as the basis for estimates."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

# Keys are made of node classes, models and sizes: a server that does much has some hundreds.
MOST_KEYS = 2000
# Of so many runs the middle one counts: the first, which loaded the model, and one that was disturbed do not.
MOST_RUNS = 7


@dataclass(frozen=True, slots=True)
class Took:
    """One run of a node.

    Attributes:
        seconds: in all.
        units: the units that it reported, such as steps; 0 if none.
        unit_seconds: for each of these; None if that could not be measured.
        tail: seconds after the last of them.
        steps: how many the graph requests; None if it does not say.
    """

    seconds: float
    units: float
    unit_seconds: float | None
    tail: float
    steps: int | None


class NodeTimes:
    """The last runs by what ran, the keys that were used last. Safe to share between threads."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Hashable, deque[Took]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, runs: Sequence[tuple[Hashable, Took]]) -> None:
        """Take in what ran."""
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
