"""What became of a job's webhook: the record that the bridges share, and when to try again.

Whoever tries first writes a record that claims the try; it counts only if nobody else wrote one meanwhile. The
record of how it ended takes its place. A claim whose bridge died is void after a while, so a webhook may come twice,
and is never lost.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal

log = logging.getLogger(__name__)

# Seconds before each further try, as the Standard Webhooks specification has them.
PAUSES = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0)
JITTER = 0.1  # by which part of itself a pause grows at most, at random
LONGEST_RETRY_AFTER = 12 * 3600.0
CLAIM_SECONDS = 60.0  # a try takes half of that at most
KEPT_SECONDS = 5 * 86400.0  # of a result with a webhook: until after the last try, with the longest pauses there are
WAITS_AS_TOLD = (429, 503)


@dataclass(frozen=True)
class Tries:
    """How far the delivery of a webhook has come.

    Attributes:
        state: `trying`: a bridge is at it; `waiting`: for the next try; `failed`: it was given up.
        count: the tries begun.
        at: when this was written, in seconds since 1970.
        pause: seconds from then until the next try, or until a claim is void.
        status: the HTTP status of the last answer; None if the last try had none.
        error: what went wrong at the last try that failed, as a sentence.
    """

    state: Literal["trying", "waiting", "delivered", "failed"]
    count: int
    at: float
    pause: float = 0.0
    status: int | None = None
    error: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether there will be no further try."""
        return self.state in ("delivered", "failed")

    def to_bytes(self) -> bytes:
        """The record."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Tries | None:
        """Read a record; None, with a line in the log, if it can't be read."""
        try:
            found = json.loads(data)
            return cls(**{each.name: found[each.name] for each in fields(cls) if each.name in found})
        except (ValueError, TypeError):
            log.warning("A record of a webhook can't be read, and is passed over.")
            return None

    def view(self) -> dict[str, Any]:
        """What the owner of the job may see of it."""
        next_at = self.at + self.pause if self.state == "waiting" else None
        return {
            "status": {"trying": "delivering", "waiting": "pending"}.get(self.state, self.state),
            "tries": self.count,
            "last_status": self.status,
            "last_error": self.error,
            "next_at": _written(next_at),
            "ended_at": _written(self.at if self.has_ended else None),
        }


def not_tried(ended: float) -> Tries:
    """What is known of a webhook before its first try.

    Args:
        ended: when its job ended, in seconds since 1970.
    """
    return Tries("waiting", 0, ended)


def pause_before_next(
    count: int, told: float | None = None, *, pauses: Sequence[float] = PAUSES, jitter: float = JITTER
) -> float | None:
    """Seconds before the next try; None if there is none.

    Args:
        count: the tries so far.
        told: seconds that the receiver asked for.
    """
    if count > len(pauses):
        return None
    pause = max(pauses[count - 1], min(told or 0.0, LONGEST_RETRY_AFTER))
    return pause * (1 + jitter * random.random())


def told_to_wait(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """The seconds of the `Retry-After` of an answer; None if it has none that counts.

    Args:
        headers: by names in small letters.
        now: in seconds since 1970.
    """
    value = headers.get("retry-after", "").strip()
    if status not in WAITS_AS_TOLD or not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _written(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
