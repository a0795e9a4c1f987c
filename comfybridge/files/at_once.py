"""Work of which several pieces are done at a time, and which the end of the process does not have to wait for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut

LOOK_SECONDS = 0.25  # so often it is looked whether the deadline was cut

Item = TypeVar("Item")
Made = TypeVar("Made")


def map_at_once(work: Callable[[Item], Made], items: Sequence[Item], most: int, deadline: Deadline) -> list[Made]:
    """Call a function with each of several items, and return the results in their order.

    Of several errors, that of the first item is raised. It leaves the items that have not begun alone, and is raised
    once the others are done with: no thread outlives the call, unless the deadline is cut.

    Args:
        most: how many at a time.
        deadline: the work's own; here it only matters whether it is cut.

    Raises:
        TimedOut: the deadline was cut.
    """
    made: list[Future[Made]] = [Future() for _ in items]
    left = deque(zip(items, made, strict=True))

    def run() -> None:
        while left:
            try:
                item, future = left.popleft()
            except IndexError:  # another thread has taken the last one
                return
            try:
                future.set_result(work(item))
            except BaseException as error:
                future.set_exception(error)

    # daemons: Python waits at its end for those of a pool
    threads = [threading.Thread(target=run, name="fetch", daemon=True) for _ in range(min(most, len(items)))]
    for thread in threads:
        thread.start()
    try:
        return [_result(each, deadline) for each in made]
    finally:
        left.clear()
        for thread in threads:
            while thread.is_alive() and not deadline.is_cut:
                thread.join(LOOK_SECONDS)


def _result(future: Future[Made], deadline: Deadline) -> Made:
    while not wait([future], LOOK_SECONDS).done:
        if deadline.is_cut:
            raise TimedOut("The process ends.")
    return future.result()
