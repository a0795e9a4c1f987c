"""What processes take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Footprint:
    """What the largest process of a session takes."""

    threads: int
    files: int
    megabytes: float

    @classmethod
    def of(cls, session: int) -> Footprint:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _session(folder) == session:
                status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
                files = len(list((folder / "fd").iterdir()))
                found.append(cls(int(status["Threads"]), files, int(status.get("VmRSS", "0").split()[0]) / 1024))
        return max(found, key=lambda each: each.threads)


def _session(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[3])
    except OSError:
        return 0
