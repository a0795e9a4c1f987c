"""Silences Pillow's warnings, which are for developers, not for a server's log."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# `warnings` keeps one list of filters per process, which two threads that save and restore it would corrupt
_filters = threading.Lock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Suppress warnings. Only for work of microseconds: one thread at a time may enter."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
