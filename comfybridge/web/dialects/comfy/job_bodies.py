"""The JSON of jobs, as types and from their states."""

from __future__ import annotations

import time
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.errors import BridgeError
from comfybridge.jobs.states import State
from comfybridge.web.current import base_url
from comfybridge.web.dialects.comfy.blueprint import PREFIX
from comfybridge.web.dialects.comfy.errors import message_of
from comfybridge.web.dialects.comfy.output_bodies import ComfyOutput, outputs_of
from comfybridge.web.dialects.comfy.progress import ProgressBody, progress_of
from comfybridge.web.times import time_text

JobStatus = Literal["queued", "running", "succeeded", "canceling", "canceled", "failed", "expired"]
Time = Annotated[str, Field(description="in UTC, as in 2026-11-28T22:05:39.120Z")]

# What an error of a job is called here, where it is not the bridge's own type.
CODES = {"execution_failed": "node_execution_error", "comfyui_unreachable": "prompt_lost"}


class ComfyUrls(TypedDict):
    """Where to ask about a job, without the origin."""

    self: str
    events: str
    cancel: str


class JobErrorBody(TypedDict):
    """Why a job failed."""

    code: str
    message: str
    node_id: NotRequired[str | None]
    class_type: NotRequired[str | None]


class Metrics(TypedDict):
    """Milliseconds; null if not known yet."""

    queue_ms: int | None
    execution_ms: int | None


class ComfyJob(TypedDict):
    """One execution of a workflow."""

    id: str
    status: JobStatus
    created_at: Time
    started_at: str | None
    completed_at: str | None
    expires_at: Annotated[str, Field(description="until when it is kept; of an open job, at least until then")]
    queue_position: Annotated[int | None, Field(description="its place among the waiting jobs, from 1")]
    progress: ProgressBody | None
    outputs: list[ComfyOutput]
    error: JobErrorBody | None
    metadata: Annotated[dict[str, str], Field(description="its labels")]
    metrics: Metrics
    urls: ComfyUrls


class JobItem(TypedDict):
    """A job in a list."""

    id: str
    status: JobStatus
    created_at: Time
    updated_at: Time
    create_time: Annotated[str, Field(description="the same as created_at")]
    update_time: Annotated[str, Field(description="the same as updated_at")]
    metadata: dict[str, str]
    urls: ComfyUrls


class JobsBody(TypedDict):
    """Jobs, the newest first."""

    jobs: list[JobItem]
    next_cursor: NotRequired[Annotated[str, Field(description="gets the next page; missing on the last")]]


class WorkflowBody(TypedDict):
    """The workflow of a job."""

    workflow: Annotated[dict[str, object], Field(description="the graph as it ran")]
    format: Literal["api"]


def job_body(state: State) -> ComfyJob:
    """The JSON of a job."""
    return {
        "id": state.id,
        "status": status_of(state),
        "created_at": time_text(state.created),
        "started_at": _time(state.started),
        "completed_at": _time(state.ended),
        "expires_at": time_text(state.expires_at or state.created + state.expires),
        "queue_position": state.position or None,
        "progress": progress_of(state),
        "outputs": outputs_of(state),
        "error": _error_of(state),
        "metadata": dict(state.labels),
        "metrics": _metrics_of(state),
        "urls": urls_of(state.id),
    }


def job_item(state: State) -> JobItem:
    """The JSON of a job in a list."""
    created, updated = time_text(state.created), time_text(state.ended or state.started or state.created)
    return {
        "id": state.id,
        "status": status_of(state),
        "created_at": created,
        "updated_at": updated,
        "create_time": created,
        "update_time": updated,
        "metadata": dict(state.labels),
        "urls": urls_of(state.id),
    }


def status_of(state: State) -> JobStatus:
    """The status of a job. A prompt that ran to its end without anything to show has succeeded here."""
    if state.expires_at is not None and state.expires_at <= time.time():
        return "expired"
    if state.status == "cancelled":
        return "canceled"
    if state.status == "cancelling":
        return "canceling"
    if state.status == "failed" and _is_silent(state.error):
        return "succeeded"
    return state.status


def urls_of(job_id: str) -> ComfyUrls:
    """The addresses of a job, with the path under which the caller reaches the bridge."""
    own = f"{urlsplit(base_url()).path}{PREFIX}/jobs/{job_id}"
    return {"self": own, "events": f"{own}/events", "cancel": f"{own}/cancel"}


def _error_of(state: State) -> JobErrorBody | None:
    error = state.error
    if error is None or _is_silent(error) or state.status == "cancelled":
        return None
    body: JobErrorBody = {"code": CODES.get(error.type, error.type), "message": message_of(error)}
    if error.node is not None:
        body["node_id"], body["class_type"] = error.node.get("id"), error.node.get("class_type")
    return body


def _is_silent(error: BridgeError | None) -> bool:
    return error is not None and error.type == "no_output"


def _metrics_of(state: State) -> Metrics:
    return {
        "queue_ms": _milliseconds(state.created, state.started),
        "execution_ms": _milliseconds(state.started, state.ended),
    }


def _milliseconds(begin: float | None, end: float | None) -> int | None:
    return None if begin is None or end is None else max(0, round(1000 * (end - begin)))


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else time_text(seconds)
