"""What is known of a job, as its owner may see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from comfybridge.errors import BridgeError
from comfybridge.jobs.errors import error_from_dict
from comfybridge.jobs.job import Claim, Job, Result
from comfybridge.prompts.progress import Progress

Status = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True)
class Wishes:
    """What a caller asks of a job besides the request that it runs.

    Attributes:
        webhook: the URL that its end is reported to.
        priority: 0 to 2, 2 first; None: the usual one.
        expires: seconds that the result is kept; None: as the settings say.
        labels: the caller's own names and values.
        older_webhook: whether the report has the form that ComfyLite gives it.
        base_url: the address by which the caller reaches the bridge, without a slash at its end.
        keeps_graph: whether its graph is kept as long as its result.
    """

    webhook: str | None = None
    priority: int | None = None
    expires: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    older_webhook: bool = False
    base_url: str = ""
    keeps_graph: bool = False


@dataclass(frozen=True)
class State:
    """A job as it is now. Times are in seconds since 1970.

    Attributes:
        kind: `kept`, or `live` for one that a blocking request waits for.
        status: "cancelling" while ComfyUI has not said what became of a prompt that it was told to interrupt.
        attempts: how often it was begun.
        expires: seconds that it is kept after its end.
        agent: the name of the agent that runs it, or ran it last.
        position: its place among the waiting jobs, from 1; 0 if it runs or is being cancelled; None if it has ended.
        eta_seconds: until it ends; None if unknown.
        held_up: why nobody can run it now, as a sentence; None if it only waits its turn.
        progress: the last that was heard of its run.
        result: how it ended; None until then.
        delivery: what became of its webhook; None if it has none, or has not ended.
    """

    id: str
    kind: str
    status: Status
    owner: str | None
    priority: int
    workflow: str
    labels: Mapping[str, str]
    webhook: str | None
    created: float
    expires: float
    started: float | None = None
    ended: float | None = None
    expires_at: float | None = None
    attempts: int = 0
    agent: str | None = None
    position: int | None = None
    eta_seconds: float | None = None
    held_up: str | None = None
    progress: Progress | None = None
    result: Result | None = None
    delivery: Mapping[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether there is a result."""
        return self.result is not None

    @property
    def error(self) -> BridgeError | None:
        """The error that it ended with."""
        error = None if self.result is None else self.result.error
        return None if error is None else error_from_dict(error)


def open_state(
    job: Job,
    claim: Claim | None,
    *,
    runs: bool = False,
    position: int | None = None,
    eta_seconds: float | None = None,
    progress: Progress | None = None,
) -> State:
    """The state of a job that waits or runs.

    Args:
        claim: the last one.
        runs: whether the agent of that claim runs it now.
    """
    is_cancelled = claim is not None and claim.cancelled
    return State(
        id=job.id,
        kind=job.kind,
        status="cancelling" if is_cancelled else "running" if runs else "queued",
        owner=job.owner,
        priority=job.priority,
        workflow=job.workflow,
        labels=job.labels,
        webhook=job.webhook,
        created=job.created,
        expires=job.expires,
        started=(claim.since or None) if runs and claim is not None else None,
        attempts=0 if claim is None else claim.attempt,
        agent=(claim.name or None) if runs and claim is not None else None,
        position=0 if runs or is_cancelled else position,
        eta_seconds=eta_seconds,
        progress=progress if runs else None,
    )


def ended_state(result: Result, delivery: Mapping[str, Any] | None = None) -> State:
    """The state of a job that has ended.

    Args:
        delivery: what became of its webhook.
    """
    return State(
        id=result.id,
        kind=result.kind,
        status=result.status,
        owner=result.owner,
        priority=result.priority,
        workflow=result.workflow,
        labels=result.labels,
        webhook=result.webhook,
        created=result.created,
        expires=result.expires,
        started=result.started,
        ended=result.ended,
        expires_at=result.expires_at,
        attempts=result.attempts,
        agent=result.agent,
        result=result,
        delivery=delivery,
    )
