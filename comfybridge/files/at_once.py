"""Runs several pieces of work at a time, in threads that do not delay the end of the process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut

LOOK_SECONDS = 0.25  # interval between two checks whether the deadline was cut

Item = TypeVar("Item")
Made = TypeVar("Made")


def map_at_once(work: Callable[[Item], Made], items: Sequence[Item], most: int, deadline: Deadline) -> list[Made]:
    """Call a function with each of several items, and return the results in their order.

    If calls fail, the error of the first item is raised. No further items are then started, and the error is raised
    once the running calls have ended: no thread outlives the call, unless the deadline is cut.

    Args:
        most: how many calls run at a time.
        deadline: the deadline of the work; here it only matters whether it is cut.

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

    # daemon threads: on exit, Python waits for the threads of a pool
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
