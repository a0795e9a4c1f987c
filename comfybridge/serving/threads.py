"""The threads that answer requests."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

Work = Callable[[], None]


class Threads:
    """Threads that are begun when they are needed, and kept.

    The standard library's pool makes a future of each piece of work, with locks of its own, which costs as much as
    taking a request apart. All methods are for one thread, the one that hears of work that is done.

    Args:
        most: how many there may be; more work waits its turn.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = 0
        self._under_way = 0
        self._given: queue.SimpleQueue[Work | None] = queue.SimpleQueue()  # None: a thread is to end

    @property
    def has_plenty(self) -> bool:
        """Whether most threads have nothing to do, or need not even have begun. May be asked by any thread."""
        return 2 * self._under_way <= self._most

    def give(self, work: Work) -> None:
        """Have a thread do some work; `take_back` must be called after it.

        Raises:
            RuntimeError: the system allows not even one thread.
        """
        if self._begun < min(self._under_way + 1, self._most):
            self._begin_another()
        self._under_way += 1
        self._given.put(work)

    def _begin_another(self) -> None:
        try:
            threading.Thread(target=self._run, name=f"comfybridge {self._begun + 1}", daemon=True).start()
        except RuntimeError:
            if not self._begun:
                raise
            log.warning("This system allows the bridge %d threads and no more.", self._begun)
        else:
            self._begun += 1

    def take_back(self) -> None:
        """Some work has been done."""
        self._under_way -= 1

    def shutdown(self, *, wait: bool = False) -> None:
        """End the threads, once they have done what they were given.

        Args:
            wait: not heeded: gunicorn, whose pool this is one of, never does.
        """
        for _ in range(self._begun):
            self._given.put(None)

    def _run(self) -> None:
        while True:
            work = self._given.get()
            if work is None:
                return
            try:
                work()
            except BaseException:  # a bug, which must not cost the thread
                log.exception("A request may not have been answered.")
            del work  # and with it a connection, which nobody else may have any more
