"""Opens ComfyUI's files in threads before their turn."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from comfybridge.request import OpenFile

K = TypeVar("K")


@dataclass(frozen=True)
class Begun:
    """A file that has been opened.

    Attributes:
        has_room: whether the whole file has been fetched and kept.
    """

    file: OpenFile
    has_room: bool = False


class Ahead(Generic[K]):
    """Files that are open or being opened, by the items they belong to. For one thread at a time.

    Args:
        at_once: how many threads open files, once there are any.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._threads: ThreadPoolExecutor | None = None
        self._opening: dict[K, Future[Begun]] = {}

    @property
    def has_threads(self) -> bool:
        """Whether files are opened before their turn."""
        return self._threads is not None

    def start_threads(self) -> None:
        """Open files in threads from now on. A thread starts only when it has work."""
        self._threads = ThreadPoolExecutor(self._at_once)

    def open(self, key: K, begin: Callable[[K], Begun]) -> None:
        """Have a thread open a file, if there are threads and it is not open yet."""
        if self._threads is not None and key not in self._opening:
            self._opening[key] = self._threads.submit(begin, key)

    def put(self, key: K, begun: Begun) -> None:
        """Keep a file open until its turn."""
        opened: Future[Begun] = Future()
        opened.set_result(begun)
        self._opening[key] = opened

    def take(self, key: K) -> Begun | None:
        """A file, which the caller must close; None if it was not opened. Raises the error of opening it."""
        opening = self._opening.pop(key, None)
        return None if opening is None else opening.result()

    def drop(self, key: K) -> None:
        """Close a file, if it is open."""
        opening = self._opening.pop(key, None)
        if opening is not None and not opening.cancel():
            opening.add_done_callback(_close)

    def close(self) -> None:
        """Close all of them, and end the threads. May be called twice."""
        for key in list(self._opening):
            self.drop(key)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _close(opening: Future[Begun]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().file.close()
