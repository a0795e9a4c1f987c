"""The threads that answer requests."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

Work = Callable[[], None]


class Threads:
    """Threads that start on demand and stay.

    Unlike those of the standard library's pool they do not keep the process from ending.

    Args:
        most: how many there may be; more work waits its turn.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._given: queue.SimpleQueue[Work | None] = queue.SimpleQueue()  # None: a thread is to end

    def give(self, work: Work) -> None:
        """Have a thread do some work, which must call `take_back` at its end. Call it from one thread only.

        Raises:
            RuntimeError: the system allows not even one thread.
        """
        if self._begun < min(self._under_way + 1, self._most):
            self._begin_another()
        with self._lock:
            self._under_way += 1
        self._given.put(work)

    def _begin_another(self) -> None:
        try:
            threading.Thread(target=self._run, name=f"comfybridge {self._begun + 1}", daemon=True).start()
        except RuntimeError:
            if not self._begun:
                raise
            log.warning("This system allows the bridge only %d threads.", self._begun)
        else:
            self._begun += 1

    def take_back(self) -> None:
        """Record that a piece of work is done."""
        with self._lock:
            self._under_way -= 1

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def shrink(self, most: int) -> None:
        """End the threads beyond this number as soon as they are idle. Call it from the thread that calls `give`."""
        while self._begun > most:
            self._begun -= 1
            self._given.put(None)

    def shutdown(self) -> None:
        """End the threads once they have done their work."""
        self.shrink(0)

    def _run(self) -> None:
        while True:
            work = self._given.get()
            if work is None:
                return
            try:
                work()
            except BaseException:  # a bug, which must not cost the thread
                log.exception("A request may not have been answered.")
            del work  # the work may hold a connection, to which nothing else may refer any more
