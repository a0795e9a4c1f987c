"""Recent durations, and estimates from them."""

from __future__ import annotations

import math

LONGEST_RETRY_AFTER = 300
NEWEST_WEIGHT = 0.2  # of the newest duration in the mean


class MeanSeconds:
    """The mean of durations, the newest of which count the most. Safe to share between threads."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._count = 0

    def add(self, seconds: float) -> None:
        """Take in one more duration."""
        mean = self._mean  # if two threads add at once, one of the two durations is lost, which does no harm
        self._count += 1
        # the first few count alike; otherwise the one that had to load the model would dominate for long
        weight = max(NEWEST_WEIGHT, 1 / self._count)
        self._mean = seconds if mean is None else mean + weight * (seconds - mean)

    def value(self, default: float) -> float:
        """The mean, in seconds; the default before anything was measured."""
        return default if self._mean is None else self._mean


def whole_seconds(seconds: float) -> int:
    """A duration for `Retry-After`: at least 1 second, with an upper limit."""
    return max(1, min(math.ceil(seconds), LONGEST_RETRY_AFTER))
