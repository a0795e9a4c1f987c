"""State that the bridge's processes on one machine share, through files in the folder for temporary files.

ComfyUI's queue and history hold nearly everything that processes must agree on. They cannot show that two processes
are about to queue the same prompt, or why a waiting prompt is gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut
from comfybridge.state import private_folder, private_temporary_folder

log = logging.getLogger(__name__)

MARK_SECONDS = 3600.0  # how long a mark is kept; a process that waits for a prompt looks within seconds
SWEEP_SECONDS = 60.0
LOCKS = 256
LOCK_POLL_SECONDS = 0.01
BUSY = "The time was up while another request with an Idempotency-Key was being queued."


class Machine:
    """State shared between processes. Safe to share between threads.

    If the folder can't be used, state is shared only between the threads of this process.

    Args:
        folder: for its files; by default the user's own folder below the folder for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._given = folder
        self._lock = threading.Lock()
        self._swept = float("-inf")

    @contextlib.contextmanager
    def alone(self, name: str, deadline: Deadline) -> Iterator[None]:
        """Hold a lock on a name, for all processes of this machine.

        Raises:
            TimedOut: others held it until the deadline.
        """
        with contextlib.ExitStack() as stack:
            number = int(_digest(name), 16) % LOCKS  # a file for each name would never be deleted
            try:
                path = self.folder() / f"{number:02x}.lock"
                seconds = max(0.0, deadline.remaining())
                stack.enter_context(FileLock(path).acquire(timeout=seconds, poll_interval=LOCK_POLL_SECONDS))
            except Timeout:
                raise TimedOut(BUSY) from None
            except OSError as error:
                log.warning("Repeated requests are recognized within this process only: %s", error)
                if not self._lock.acquire(timeout=max(0.0, deadline.remaining())):
                    raise TimedOut(BUSY) from None
                stack.callback(self._lock.release)
            yield

    def mark(self, name: str) -> None:
        """Remember a name for an hour."""
        try:
            self._sweep()
            self._mark_of(name).touch()
        except OSError as error:
            log.warning("Other processes do not learn of a cancelled prompt: %s", error)

    def is_marked(self, name: str) -> bool:
        """Whether the name was marked, by any process."""
        try:
            return self._mark_of(name).exists()
        except OSError:
            return False

    def folder(self) -> Path:
        """A folder that no other user can write to, created again if it was removed.

        Raises:
            OSError: there is none.
        """
        return private_temporary_folder() if self._given is None else private_folder(self._given)

    def _mark_of(self, name: str) -> Path:
        return self.folder() / f"{_digest(name)}.mark"

    def _sweep(self) -> None:
        now = time.time()
        if now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        for each in self.folder().glob("*.mark"):
            with contextlib.suppress(OSError):  # another process sweeps too
                if now - each.stat().st_mtime > MARK_SECONDS:
                    each.unlink()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
