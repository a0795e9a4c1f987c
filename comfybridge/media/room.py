"""Limits how many pixels are in memory at once, so that few large images are decoded at a time.

A picture of 89 million pixels, Pillow's limit, can be a file of 100 kB, and takes 360 MB while it is checked and
several times that while it is converted. A bridge with hundreds of waiting requests must not hold hundreds of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from comfybridge.errors import Busy

MOST_PIXELS = 64 * 1024 * 1024  # 64 pictures of 1024 x 1024
PATIENCE_SECONDS = 60.0
RETRY_AFTER = 10


class Room:
    """Room for a number of pixels. Safe to share between threads; first come, first served."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def held(self, pixels: int) -> Iterator[None]:
        """Reserve room for a number of pixels, or all room if they exceed it.

        Raises:
            Busy: there was no room for a minute.
        """
        wanted = min(pixels, self._most)
        if not self._turn.acquire(timeout=PATIENCE_SECONDS):
            raise _too_many()
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._left >= wanted, PATIENCE_SECONDS):
                    raise _too_many()
                self._left -= wanted
        finally:
            self._turn.release()
        try:
            yield
        finally:
            with self._changed:
                self._left += wanted
                self._changed.notify_all()


ROOM = Room(MOST_PIXELS)


def _too_many() -> Busy:
    return Busy("Too many large images are being read at the moment.", retry_after=RETRY_AFTER)
