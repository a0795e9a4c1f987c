"""Times as JSON has them."""

from __future__ import annotations

from datetime import datetime, timezone


def time_text(seconds: float) -> str:
    """A time in UTC, as in 2026-11-28T22:05:39.120Z.

    Args:
        seconds: since 1970.
    """
    when = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"
