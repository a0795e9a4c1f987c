"""Answers a poll for an unfinished job when the job ends, instead of at once.

ComfyUI's SDKs wait for a job by asking for it again and again, with pauses that grow from 0.5 to 5 s: a job that ends
during a pause is noticed late. So a poll that is one of many is held: at first for 2 s, then longer, about as long as
the caller has polled already, so that a caller with a time limit of its own does not exceed it by much; and half as
long again where the job is expected to end by then. A single question about a job, which a person may have asked, is
answered at once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from flask import Request

from comfybridge.web.parsing.prefer import preference_of

SDK = "comfy-sdk-"  # how the agents of its SDKs begin
FRESH = 2.0  # seconds after its creation in which the first question about a job is the first of many
PAUSE = 6.0  # the longest that an SDK pauses between two polls is 5 s
HOLDS = (2.0, 5.0, 10.0, 15.0)  # seconds, and half as much again; callers give up after 30 s without an answer
LONGEST = 20.0
MOST_ROWS = 10_000


class Polls:
    """The polls that follow each other, of each caller for each job. Safe to share between threads."""

    def __init__(self) -> None:
        # how many polls were held, and when the last one was answered
        self._rows: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def hold(self, caller: str, job_id: str, created: float) -> float:
        """For how many seconds to hold a poll.

        Args:
            created: when the job was created, in seconds since 1970.
        """
        with self._lock:
            held, at = self._rows.get((caller, job_id), (0, float("-inf")))
        if time.monotonic() - at > PAUSE:
            return HOLDS[0] if time.time() - created <= FRESH else 0.0
        return HOLDS[min(held, len(HOLDS) - 1)]

    def answer(self, caller: str, job_id: str, *, was_held: bool) -> None:
        """Note that a poll is about to be answered, and the job has not ended."""
        with self._lock:
            held, _ = self._rows.pop((caller, job_id), (0, 0.0))
            self._rows[caller, job_id] = (held + was_held, time.monotonic())
            if len(self._rows) > MOST_ROWS:
                self._rows.popitem(last=False)


def wish_of(request: Request) -> float | None:
    """How many seconds a caller would wait for a job to end; None: it does not say, and may be polling."""
    wait = preference_of(request).wait
    if wait is not None:
        return min(float(wait), LONGEST)
    return None if request.headers.get("User-Agent", "").startswith(SDK) else 0.0
