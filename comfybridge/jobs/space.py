"""Keeps room in a stream for what must still be stored of the jobs in it.

In a queue that is full to the brim, no agent could claim a job, and nothing would ever end. In a store that the files
of waiting jobs fill, there would be no room for what the next one makes.
"""

from __future__ import annotations

import threading
import time

from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import Full

SHARE = 0.75  # of a stream that jobs may take, with all that lies in it
LOOK_SECONDS = 0.5  # for which what was seen is relied on, and
LOOK_SHARE = 1 / 32  # the share that this process may add meanwhile
OVERHEAD = 512  # bytes of a message beside its data


class Space:
    """The room of one stream, as one process sees it. Safe to share between threads."""

    def __init__(self, engine: Engine, stream: str) -> None:
        self._engine = engine
        self._stream = stream
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._used = self._most = self._added = 0

    def take(self, size: int) -> None:
        """Take room for a job, whose message has so many bytes.

        Raises:
            Full: there is none. Nothing is taken.
            EngineUnreachable
        """
        size += OVERHEAD
        with self._lock:
            is_old = time.monotonic() - self._looked > LOOK_SECONDS
            if is_old or self._added + size > LOOK_SHARE * self._most:
                self._used, self._most = self._engine.space(self._stream)
                self._added, self._looked = 0, time.monotonic()
            if self._used + self._added + size > SHARE * self._most:
                raise Full("the stream has no room for another job")
            self._added += size

    def count(self, size: int) -> None:
        """Take in that so many bytes more were stored."""
        with self._lock:
            self._added += size
