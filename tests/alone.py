"""Has tests marked `alone` run while no other test does, although tests run in several processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

with contextlib.suppress(ImportError):  # Windows has no such locks, so tests there are not kept apart
    import fcntl


@contextlib.contextmanager
def running(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold a shared place among the running tests, or the only one.

    Args:
        folder: the same for all processes.
    """
    if "fcntl" not in globals():
        yield
        return
    with (folder / "door").open("w") as door, (folder / "room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)  # held by a test that waits for the others to end
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(door, fcntl.LOCK_UN)
        yield
