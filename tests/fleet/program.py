"""The program of this checkout with leases and pauses of seconds, and a clock that can be set back.

Started with `-m tests.fleet.program`. Nothing else is changed.
`TESTS_LEASE` names the lease in seconds; `TESTS_CLOCK` a file with eight bytes, by how many seconds the clock is set
back (see `Clock`).
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from pathlib import Path

LEASE, CLOCK = "TESTS_LEASE", "TESTS_CLOCK"
ANNOUNCEMENTS = 5  # of an agent in one lease
HOOK_TRIES = 30


class Clock:
    """The wall clock of programs that share a file; their monotonic clocks stay."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set_back(0)

    def set_back(self, seconds: float) -> None:
        """By so many seconds from the true time, for all of them, at once."""
        if not self.path.exists():
            self.path.write_bytes(bytes(8))
        with self.path.open("r+b") as file:
            file.write(struct.pack("d", seconds))


def _set_clock(path: str) -> None:
    with open(path, "rb") as file:
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    now, now_ns = time.time, time.time_ns

    def back() -> float:
        return float(struct.unpack("d", offset[:8])[0])

    time.time = lambda: now() - back()
    time.time_ns = lambda: now_ns() - int(back() * 1e9)


def _set_lease(seconds: float) -> None:
    from comfybridge.jobs import agent, presence, webhooks

    for name, short, makers in (
        ("lease", seconds, (agent.Agent, presence.Presence)),
        ("every", seconds / ANNOUNCEMENTS, (presence.Announcer,)),
        # a webhook whose bridge was killed twice must come while a test waits
        ("claim_seconds", 4 * seconds, (webhooks.Webhooks,)),
        ("try_seconds", 2 * seconds, (webhooks.Webhooks,)),
        ("pauses", (seconds,) * HOOK_TRIES, (webhooks.Webhooks,)),
    ):
        for each in makers:
            each.__init__.__kwdefaults__[name] = short


def main() -> int:
    """Run `app.py` with the arguments of the command line."""
    if CLOCK in os.environ:
        _set_clock(os.environ[CLOCK])
    if LEASE in os.environ:
        _set_lease(float(os.environ[LEASE]))
    from comfybridge.cli.main import main as program

    sys.argv[0] = "app.py"
    return program()


if __name__ == "__main__":
    sys.exit(main())
