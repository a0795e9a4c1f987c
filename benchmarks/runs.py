"""What one run of many requests came to."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import Any

# Where a latency curve is drawn through: dense at its end, where it rises.
PERCENTILES = (*(float(each) for each in range(99)), 99.0, 99.3, 99.5, 99.7, 99.9, 100.0)


@dataclass(frozen=True)
class Run:
    """So many requests by so many callers at a time.

    Attributes:
        callers: requests under way at any time.
        latencies: seconds of each request that went well.
        failed: how many did not.
        seconds: from the first to the last.
        cpu: seconds of CPU (user and system) that what was measured spent meanwhile.
        memory: bytes that it had at the end.
        failure: what the first that failed was answered.
    """

    callers: int
    latencies: list[float]
    failed: int
    seconds: float
    cpu: float
    memory: int
    failure: str = ""

    @property
    def throughput(self) -> float:
        """Requests in a second."""
        return len(self.latencies) / self.seconds

    @property
    def cpu_per_request(self) -> float | None:
        """Seconds."""
        return self.cpu / len(self.latencies) if self.latencies else None

    def to_json(self) -> str:
        """For another process to read."""
        return json.dumps(asdict(self))

    def figures(self) -> dict[str, Any]:
        """For the report: what it came to, and its latency curve, in milliseconds and megabytes."""
        return {
            "median_ms": milliseconds(percentile(self.latencies, 50)),
            "p99_ms": milliseconds(percentile(self.latencies, 99)),
            "per_second": round(self.throughput, 2),
            "cpu_ms": milliseconds(self.cpu_per_request),
            "memory_mb": megabytes(self.memory),
            "answered": len(self.latencies),
            "failed": self.failed,
            "failure": self.failure,
            "curve_ms": [milliseconds(percentile(self.latencies, each)) for each in PERCENTILES],
        }


def percentile(values: list[float], percent: float) -> float | None:
    """The value that so many percent of them don't exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(values: list[float | None]) -> float | None:
    """The median of those that are there."""
    there = [each for each in values if each is not None]
    return statistics.median(there) if there else None


def ratio(value: float | None, other: float | None) -> float | None:
    """How many times the other it is."""
    return None if value is None or not other else round(value / other, 4)


def milliseconds(seconds: float | None) -> float | None:
    """For people to read."""
    return None if seconds is None else round(seconds * 1000, 3)


def megabytes(count: int | None) -> float | None:
    """For people to read."""
    return None if count is None else round(count / 2**20, 2)
