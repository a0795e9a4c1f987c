"""The CPU and memory of processes, and the peak of memory on Linux."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes with these ids and all their children."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of CPU, user and system, that processes and their children have spent."""
    return sum(_cpu(each) for each in family(pids))


def memory_of(pids: Iterable[int]) -> int:
    """Bytes of memory of processes and their children together, with shared pages counted once if known."""
    return sum(_share(each) for each in family(pids))


def resident_of(pids: Iterable[int]) -> int:
    """Bytes of resident memory of the largest one among processes and their children."""
    return max((each.memory_info().rss for each in family(pids)), default=0)


def _cpu(process: psutil.Process) -> float:
    if sys.platform == "linux":
        # clock_getcpuclockid(3), which Python lacks: it is exact, unlike `cpu_times` with its hundredths of a second
        with contextlib.suppress(OSError):
            return time.clock_gettime(~process.pid << 3 | 2)
    times = process.cpu_times()
    return float(times.user + times.system)


def _share(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, AttributeError):  # `pss` exists only on Linux
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)


class Peaks:
    """The peak growth of the resident memory of processes and their children since this was made.

    Only Linux reports it, as `VmHWM`, which can be reset.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._before: dict[int, int] = {}
        for process in family(pids):
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")
                self._before[process.pid] = _high_water(process.pid)

    def growth(self) -> int | None:
        """Bytes of the process that grew most; None if the system does not report them."""
        grown = []
        for pid, before in self._before.items():
            with contextlib.suppress(OSError):
                grown.append(_high_water(pid) - before)
        return max(grown, default=None)


def _high_water(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM")  # for example for a process that has just ended
