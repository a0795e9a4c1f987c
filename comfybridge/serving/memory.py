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
    """Keep looks for garbage short, and large blocks of memory no longer than they are used.

    To be called once the application is there: what is there by then is passed over in all looks. By itself glibc
    keeps what is as large as any block that was freed before.
    """
    gc.collect()
    gc.freeze()
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, LARGE_BLOCK)
