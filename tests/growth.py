"""Whether work grows with what it is done on, and no faster: a proof that no slow machine upsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMES = 8  # ratio of the two sizes


def grows_evenly(make: Callable[[int], T], work: Callable[[T], object], size: int) -> None:
    """Work on two things of which one is 8 times as large. Fails if it takes more than 24 times as long each time.

    What grows with the square takes 64 times as long.

    Args:
        make: makes something of a size.
        size: of the smaller; large enough for a millisecond or more.
    """
    few, many = make(size), make(size * TIMES)
    ratios = []
    while len(ratios) < 3:  # on a shared processor, a run may take longer by chance
        ratios.append(seconds(work, many) / seconds(work, few, few, few))
        if ratios[-1] < 3 * TIMES:
            return
    raise AssertionError(f"for what is {TIMES} times as large it took {ratios} times as long")


def seconds(work: Callable[[T], object], *each: T) -> float:
    """The least of this thread's own time that it took."""
    taken = []
    for thing in each:
        began = time.thread_time()
        work(thing)
        taken.append(time.thread_time() - began)
    return max(min(taken), 1e-6)
