"""The result of one run of many requests."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import Any

# The points of a latency curve: dense at its end, where it rises.
PERCENTILES = (*(float(each) for each in range(99)), 99.0, 99.3, 99.5, 99.7, 99.9, 100.0)


@dataclass(frozen=True)
class Run:
    """A number of requests by a number of concurrent callers.

    Attributes:
        callers: the number of concurrent requests.
        latencies: the seconds of each successful request.
        failed: the number of failed requests.
        seconds: from the first to the last.
        cpu: CPU seconds (user and system) that the measured processes spent meanwhile.
        memory: their bytes of memory at the end.
        failure: the answer to the first failed request.
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
        """Requests per second."""
        return len(self.latencies) / self.seconds

    @property
    def cpu_per_request(self) -> float | None:
        """CPU seconds per request."""
        return self.cpu / len(self.latencies) if self.latencies else None

    def to_json(self) -> str:
        """The run as JSON, for another process."""
        return json.dumps(asdict(self))

    def figures(self) -> dict[str, Any]:
        """The figures for the report, with the latency curve, in milliseconds and megabytes."""
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
    """The value that a percentage of them do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(values: list[float | None]) -> float | None:
    """The median of the values that are not None."""
    there = [each for each in values if each is not None]
    return statistics.median(there) if there else None


def ratio(value: float | None, other: float | None) -> float | None:
    """The ratio of a figure to another."""
    return None if value is None or not other else round(value / other, 4)


def milliseconds(seconds: float | None) -> float | None:
    """For people to read."""
    return None if seconds is None else round(seconds * 1000, 3)


def megabytes(count: int | None) -> float | None:
    """For people to read."""
    return None if count is None else round(count / 2**20, 2)
