"""Waits for events in other threads or processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SECONDS = 120  # only a failing test waits this long


def until_true(is_so: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until a condition is true. Fails after a number of seconds."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "the condition never became true"
        threading.Event().wait(0.005)
