"""The JSON of jobs, as types and from their states."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.jobs.states import State, Status
from comfybridge.web.dialects.native.bodies import ErrorAnswer, GenerationAnswer, ProgressEvent, error_body
from comfybridge.web.times import time_text

JobId = Annotated[str, Field(description="the job's id, which is also that of its prompt")]
Time = Annotated[str, Field(description="in UTC, as in 2026-11-28T22:05:39.120Z")]


class JobUrls(TypedDict):
    """Where to ask about a job."""

    self: Annotated[str, Field(description="GET: its state")]
    events: Annotated[str, Field(description="GET: its progress as server-sent events")]
    cancel: Annotated[str, Field(description="POST: cancels it")]
    result: Annotated[str, Field(description="GET: what /generate would have answered")]


class AcceptedAnswer(TypedDict):
    """A job that was accepted. Nothing that happens to the bridge from now on loses it."""

    id: JobId
    status: Status
    urls: JobUrls


class WebhookAnswer(TypedDict):
    """What became of a webhook."""

    url: str
    status: Annotated[
        Literal["waiting", "pending", "delivering", "delivered", "failed"],
        Field(description="waiting: for the end of the job; pending: for the next try; failed: given up"),
    ]
    tries: int
    last_error: NotRequired[Annotated[str | None, Field(description="why the last try failed")]]
    last_status: NotRequired[Annotated[int | None, Field(description="the HTTP status of the last try")]]
    next_at: NotRequired[Time | None]
    ended_at: NotRequired[Time | None]


class JobAnswer(TypedDict):
    """A job."""

    id: JobId
    status: Status
    workflow: Annotated[str, Field(description="the template's name, or graph")]
    priority: int
    labels: dict[str, str]
    created_at: Time
    started_at: Annotated[str | None, Field(description="when it was last begun")]
    ended_at: str | None
    expires_at: Annotated[str | None, Field(description="until when its result is kept")]
    attempts: Annotated[int, Field(description="how often it was begun; more than once if an agent was lost")]
    agent: Annotated[str | None, Field(description="the agent that runs or ran it")]
    position: Annotated[
        int | None, Field(description="its place among the waiting jobs, from 1; 0 if it runs; null if it has ended")
    ]
    eta_seconds: Annotated[float | None, Field(description="seconds until it ends; null if unknown")]
    held_up: NotRequired[Annotated[str, Field(description="why no agent can run it now, if it waits for that")]]
    progress: Annotated[ProgressEvent | None, Field(description="the last step of its run; null before the first")]
    error: NotRequired[Annotated[ErrorAnswer, Field(description="as /generate would have answered it")]]
    webhook: NotRequired[WebhookAnswer]
    urls: JobUrls


class JobsAnswer(TypedDict):
    """Jobs, the newest first."""

    jobs: list[JobAnswer]
    next_cursor: Annotated[str | None, Field(description="gets the next page; null on the last")]


class EndedJob(JobAnswer):
    """A job that has ended, without what became of its webhook, and with its result."""

    result: Annotated[
        GenerationAnswer | None,
        Field(
            description="as /generate would have answered it, with links to files that are too large; null if none"
        ),
    ]


class HookBody(TypedDict):
    """The end of a job, sent to the URL that came with it as webhook.

    The headers are those of Standard Webhooks. It may come more than once.
    """

    type: Literal["job.succeeded", "job.failed", "job.cancelled"]
    timestamp: Annotated[str, Field(description="when the job ended")]
    data: EndedJob


class CancelledJobAnswer(JobAnswer):
    """A job after it was cancelled, or as it was if it had ended."""

    was: Annotated[Status, Field(description="its status until then")]


def urls_of(job_id: str, base_url: str) -> JobUrls:
    """The addresses of a job.

    Args:
        base_url: the address by which the caller reaches the bridge, without a slash at its end.
    """
    own = f"{base_url}/jobs/{job_id}"
    return {"self": own, "events": f"{own}/events", "cancel": f"{own}/cancel", "result": f"{own}/result"}


def accepted_body(job_id: str, status: Status, base_url: str) -> AcceptedAnswer:
    """The JSON that accepts a job."""
    return {"id": job_id, "status": status, "urls": urls_of(job_id, base_url)}


def job_body(state: State, base_url: str, request_id: str = "") -> JobAnswer:
    """The JSON of a job.

    Args:
        request_id: of the request that asks for it.
    """
    body: JobAnswer = {
        "id": state.id,
        "status": state.status,
        "workflow": state.workflow,
        "priority": state.priority,
        "labels": dict(state.labels),
        "created_at": time_text(state.created),
        "started_at": _time(state.started),
        "ended_at": _time(state.ended),
        "expires_at": _time(state.expires_at),
        "attempts": state.attempts,
        "agent": state.agent,
        "position": state.position,
        "eta_seconds": None if state.eta_seconds is None else round(state.eta_seconds, 3),
        "progress": _progress(state),
        "urls": urls_of(state.id, base_url),
    }
    if state.held_up is not None:
        body["held_up"] = state.held_up
    error = state.error
    if error is not None:
        body["error"] = error_body(error, request_id)
    if state.webhook is not None:
        body["webhook"] = _webhook(state.webhook, state)
    return body


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else time_text(seconds)


def _progress(state: State) -> Any:
    if state.progress is None:
        return None
    return {name: value for name, value in asdict(state.progress).items() if value is not None}


def _webhook(url: str, state: State) -> WebhookAnswer:
    told: dict[str, Any] = {"status": "waiting", "tries": 0} if state.delivery is None else dict(state.delivery)
    for name in ("next_at", "ended_at"):
        if name in told:
            told[name] = _time(told[name]) if isinstance(told[name], (int, float)) else told[name]
    return {"url": url, **told}  # type: ignore[typeddict-item]
