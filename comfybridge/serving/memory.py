"""Memory that is given back to the system once a flood is over."""

from __future__ import annotations

import contextlib
import ctypes
import gc

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of mallopt(3)
LARGE_BLOCK = 1024 * 1024  # bytes


def _glibc() -> ctypes.CDLL | None:
    with contextlib.suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        if libc.malloc_trim and libc.mallopt:
            return libc
    return None  # musl, macOS, Windows


def give_back() -> None:
    """Free what only garbage holds, and give the system what is free. Takes some milliseconds."""
    gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def use_little() -> None:
    """Have glibc give large blocks back at once. By itself it keeps what is as large as any that was freed before."""
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, LARGE_BLOCK)
