"""Waits for events in other threads or processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 120  # only a failing test waits this long


def until_true(is_so: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until a condition is true. Fails after a number of seconds."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "the condition never became true"
        threading.Event().wait(0.005)


def suspend(pid: int) -> None:
    """Stop a process until it gets SIGCONT. Its threads may go on for a moment after the signal."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    until_true(lambda: all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in threads.glob("*/stat")))
