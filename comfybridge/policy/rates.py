"""Rates such as `10/minute`, and token buckets for them."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from time import monotonic

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(r"([1-9][0-9]{0,8}) ?/ ?(second|minute|hour|day)")


@dataclass(frozen=True)
class Rate:
    """A number of requests within a number of seconds."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: object) -> Rate:
        """Read `10/minute`.

        Raises:
            ValueError: it is not a rate; the message says what is accepted.
        """
        match = _RATE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"a number and a time, such as 10/minute; the times are {', '.join(SECONDS)}")
        return cls(int(match[1]), SECONDS[match[2]])

    def times(self, factor: int) -> Rate:
        """The rate of what each request may have several of."""
        return Rate(self.count * factor, self.seconds)

    def __str__(self) -> str:
        return f"{self.count}/{next(name for name, seconds in SECONDS.items() if seconds == self.seconds)}"


class Bucket:
    """A token bucket that refills at a rate and holds at most the rate's count. Safe to share between threads."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = float(rate.count)
        self._filled_at = monotonic()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take a token.

        Returns:
            0; or, if none was left, the seconds until there is one.
        """
        a_second = self._rate.count / self._rate.seconds
        with self._lock:
            now = monotonic()
            self._tokens = min(self._rate.count, self._tokens + (now - self._filled_at) * a_second)
            self._filled_at = now
            if self._tokens >= 1:
                self._tokens -= 1
                return 0.0
            return max(math.ulp(1.0), (1 - self._tokens) / a_second)

    def give_back(self) -> None:
        """Put back a token that was not used after all."""
        with self._lock:
            self._tokens = min(self._rate.count, self._tokens + 1)
