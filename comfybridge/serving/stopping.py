"""The shutdown of a server process: what it waits for, for how long, and what becomes of the rest."""

from __future__ import annotations

import logging
import threading

from flask import Flask

from comfybridge.bridge import Bridge
from comfybridge.jobs.jobs import Jobs
from comfybridge.web.current import EXTENSION, JOBS

log = logging.getLogger(__name__)

# After the wait, time to tell callers so and to have ComfyUI cancel prompts.
LAST_SECONDS = 5
MOST_NAMED = 20  # prompts in a line of the log


class Stop:
    """Lets the requests of a process finish for a while, and then gives up those that have not.

    Args:
        app: whose requests they are.
    """

    def __init__(self, app: Flask) -> None:
        self._bridge: Bridge = app.extensions[EXTENSION]
        self._jobs: Jobs | None = app.extensions[JOBS]
        self._over = threading.Event()

    @property
    def has_requests(self) -> bool:
        """Whether requests are running that a shutdown would wait for."""
        return self._bridge.slots.taken > 0

    def begin(self) -> None:
        """Begin to wait, in a thread, and log what for. Accept no connections after this call."""
        seconds = self._bridge.settings.shutdown_seconds
        count, prompts = self._bridge.slots.taken, self._bridge.prompts_waited_for()
        if not count:
            log.info("Shutting down; no request is running.")
        else:
            log.info(
                "Shutting down; waiting at most %g s for %s%s.",
                seconds,
                _requests(count),
                f" ({_listed(prompts)})" if prompts else "",
            )
        if self._jobs is not None:
            self._jobs.leave()
        threading.Thread(target=self._end, args=[seconds], name="comfybridge stop", daemon=True).start()

    def hurry(self) -> None:
        """Wait no longer. May be called by a signal handler, and before `begin`."""
        self._over.set()

    def _end(self, seconds: float) -> None:
        self._over.wait(seconds)
        cancelled, kept, unqueued = self._bridge.shut_down()
        if unqueued:
            log.warning("The time is up; giving up %s without a queued prompt.", _requests(unqueued))
        if cancelled:
            log.warning("The time is up; cancelling %s.", _listed(cancelled))
        if kept:
            log.warning("The time is up; keeping %s in ComfyUI's queue.", _listed(kept))


def begin_jobs(app: Flask) -> None:
    """Go on with the jobs that are there, once a process serves."""
    jobs: Jobs | None = app.extensions[JOBS]
    if jobs is not None:
        threading.Thread(target=jobs.begin, name="comfybridge jobs", daemon=True).start()  # it may take seconds


def end_jobs(app: Flask | None) -> None:
    """Leave the jobs to others, or to the next start, as the process ends."""
    jobs: Jobs | None = None if app is None else app.extensions[JOBS]
    if jobs is not None:
        jobs.close()


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def _listed(prompts: list[str]) -> str:
    more = f" and {len(prompts) - MOST_NAMED} more" if len(prompts) > MOST_NAMED else ""
    return f"{'prompt' if len(prompts) == 1 else 'prompts'} {', '.join(prompts[:MOST_NAMED])}{more}"
