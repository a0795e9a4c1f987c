"""The webhooks that are still to be delivered, and which one is next, as this process knows it.

A receiver that is slow or dead holds up nobody else's: each has a few tries under way at most, and all that were slow
or failed last share a part of the places.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from dataclasses import dataclass

from comfybridge.jobs.tries import Tries

AT_ONCE = 32
AT_ONCE_TO_LAME = 16  # to all receivers that were slow or failed last
TO_ONE_HOST = 4
TO_ONE_LAME_HOST = 2
SLOW_SECONDS = 2.0


@dataclass(eq=False)
class Hook:
    """A webhook that is still to be delivered.

    Attributes:
        id: the job's.
        host: the receiver's, in small letters.
        due: when to try, on the monotonic clock.
        tries: what became of it so far.
        result: the sequence of the job's result. Records that are older are about an earlier job with the same key.
        sequence: of the record of these tries; 0 if there is none.
        is_busy: whether this process is at it.
        is_over: whether there will be no further try.
    """

    id: str
    host: str
    due: float
    tries: Tries
    result: int = 0
    sequence: int = 0
    is_busy: bool = False
    is_over: bool = False


class Hooks:
    """All of them. For one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[str, Hook] = {}
        self._later: list[tuple[float, int, Hook]] = []
        self._numbers = itertools.count()
        self._now: dict[str, deque[Hook]] = {}  # those that are due, by host; the host that is next comes first
        self._busy: Counter[str] = Counter()
        self._lame: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, job_id: str) -> Hook | None:
        """The webhook of a job, if it is still to be delivered."""
        return self._known.get(job_id)

    def add(self, hook: Hook) -> None:
        """Add one, unless it is known; one of an earlier job with the same key is over."""
        known = self._known.get(hook.id)
        if known is not None and known.result < hook.result:
            self.end(hook.id)
        if hook.id not in self._known:
            self._known[hook.id] = hook
            self._plan(hook)

    def set_due(self, hook: Hook, due: float) -> None:
        """Have it tried at another time."""
        hook.due = due
        self._plan(hook)

    def end(self, job_id: str) -> None:
        """There will be no further try."""
        hook = self._known.pop(job_id, None)
        if hook is not None:
            hook.is_over = True
        if not self._known:
            self._lame.clear()

    def clear(self) -> None:
        """Forget all; a try that is under way ends as it will."""
        for job_id in list(self._known):
            self.end(job_id)

    def take(self, now: float) -> Hook | None:
        """The next one, which is then busy; None if there is none that may begin now."""
        while self._later and self._later[0][0] <= now:
            due, _, hook = heapq.heappop(self._later)
            if hook.due == due and not hook.is_over:
                self._now.setdefault(hook.host, deque()).append(hook)
        for host in list(self._now):
            waiting = self._now[host]
            while waiting and (waiting[0].is_over or waiting[0].is_busy or waiting[0].due > now):
                waiting.popleft()
            if not waiting:
                del self._now[host]
            elif self._has_room(host):
                hook = waiting.popleft()
                del self._now[host]
                if waiting:
                    self._now[host] = waiting  # behind all others
                hook.is_busy = True
                self._busy[host] += 1
                return hook
        return None

    def give_back(self, hook: Hook, *, is_lame: bool | None) -> None:
        """A try has ended.

        Args:
            is_lame: whether the receiver was slow, or failed; None if it was not asked.
        """
        hook.is_busy = False
        self._busy[hook.host] -= 1
        if not self._busy[hook.host]:
            del self._busy[hook.host]
        if is_lame:
            self._lame.add(hook.host)
        elif is_lame is False:
            self._lame.discard(hook.host)
        if not hook.is_over:
            self._plan(hook)

    def next_due(self) -> float | None:
        """When to look again, on the monotonic clock, if nothing changes before; None: not at all."""
        return self._later[0][0] if self._later else None

    def _plan(self, hook: Hook) -> None:
        if not hook.is_busy:
            heapq.heappush(self._later, (hook.due, next(self._numbers), hook))

    def _has_room(self, host: str) -> bool:
        if self._busy.total() >= AT_ONCE:
            return False
        if host not in self._lame:
            return self._busy[host] < TO_ONE_HOST
        to_lame = sum(count for each, count in self._busy.items() if each in self._lame)
        return self._busy[host] < TO_ONE_LAME_HOST and to_lame < AT_ONCE_TO_LAME
