"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SECONDS = 120  # only a test that fails waits so long


def until_true(is_so: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until something is so. Fails after so many seconds."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it never came to that"
        threading.Event().wait(0.005)
