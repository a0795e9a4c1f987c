"""Pillow without its warnings, which are for developers and not for a server's log."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# `warnings` keeps one list of filters per process: two threads that both save and restore it mix it up
_filters = threading.Lock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Without warnings; for what takes microseconds, as one thread at a time is let in."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
