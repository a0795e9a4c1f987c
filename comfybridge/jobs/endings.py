"""The line of the log for each job that has ended."""

from __future__ import annotations

import logging

from comfybridge.jobs.job import Result
from comfybridge.logs import Facts

log = logging.getLogger(__name__)


class Line(Facts):
    """The log's fields for a job that has ended."""

    def __str__(self) -> str:
        return f"Job {self['outcome']}: {Facts({name: self[name] for name in self if name != 'outcome'})}"


def log_end(result: Result) -> None:
    """Log how a job has ended."""
    began = result.started
    line = Line(
        job_id=result.id,
        outcome=result.status,
        workflow=result.workflow,
        key=result.owner,
        agent=result.agent,
        attempts=result.attempts,
        queued=None if began is None else _between(result.created, began),
        executing=None if began is None else _between(began, result.ended),
        total=_between(result.created, result.ended),
        error=None if result.error is None else result.error.get("type"),
    )
    log.log(logging.WARNING if result.status == "failed" else logging.INFO, line)


def _between(begin: float, end: float) -> float:
    return round(max(0.0, end - begin), 4)
