"""`GET /api/v2/jobs/ID/events`: a job as server-sent events."""

from __future__ import annotations

import base64
from functools import partial
from typing import Annotated

from flask import Response
from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.errors import Busy, EngineUnreachable, UnknownPrompt
from comfybridge.jobs.states import State
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.web.answers.events import MEDIA_TYPE, frame
from comfybridge.web.answers.queued_jobs import followed, needed_jobs
from comfybridge.web.answers.style import EventStyle
from comfybridge.web.current import base_url
from comfybridge.web.describing import Answer, EventTypes, describes
from comfybridge.web.dialects.comfy.blueprint import blueprint
from comfybridge.web.dialects.comfy.errors import TooManyStreams
from comfybridge.web.dialects.comfy.job_bodies import JobStatus, status_of
from comfybridge.web.dialects.comfy.jobs import JOB_ID, TAG, found_job
from comfybridge.web.dialects.comfy.output_bodies import ComfyOutput, outputs_of
from comfybridge.web.dialects.comfy.progress import ProgressBody, progress_body

PAUSE = 0.5  # seconds between two snapshots of progress, and between two previews


class StatusEvent(TypedDict):
    """An event of a stream: the job's status, or its place in the queue, has changed."""

    status: JobStatus
    queue_position: NotRequired[Annotated[int | None, Field(description="from 1, while it waits")]]


class ComfyPreview(TypedDict):
    """An event of a stream: the present state of a picture."""

    node_id: Annotated[str, Field(description="the node that runs")]
    content_type: Annotated[str, Field(description="such as image/jpeg")]
    data_base64: str


EVENTS = Answer(
    "What happens to the job, from its status now to its end.",
    {
        MEDIA_TYPE: EventTypes(
            {"status": StatusEvent, "progress": ProgressBody, "preview": ComfyPreview, "output": ComfyOutput},
            "The `status` of its end is the last event, and follows its outputs. Lines that begin with a colon keep "
            "an idle stream open.",
        )
    },
)


@blueprint.get("/jobs/<job_id>/events")
@describes(
    tag=TAG,
    path={"job_id": JOB_ID},
    answers=EVENTS,
    raises=(UnknownPrompt, EngineUnreachable, TooManyStreams),
)
def follow_job(job_id: str) -> Response:
    """The progress of a job as server-sent events, with its outputs.

    A caller that comes late gets what is known now, or the outputs and the end.
    """
    found_job(job_id)
    try:
        return followed(needed_jobs(), job_id, _STYLE, partial(_end, base=base_url()), PAUSE, _place)
    except Busy as busy:
        said = "As many requests wait as the bridge has slots for; a plain GET of the job is answered."
        raise TooManyStreams(said, retry_after=busy.retry_after) from None


def _told(heard: Queued | Progress | Preview) -> bytes:
    """The event of a step forward. Where the job waits is told by `_place`."""
    if isinstance(heard, Progress):
        return frame("progress", progress_body(heard))
    if isinstance(heard, Preview):
        preview: ComfyPreview = {
            "node_id": heard.node_id,
            "content_type": heard.media_type,
            "data_base64": base64.b64encode(heard.data).decode("ascii"),
        }
        return frame("preview", preview)
    return b""


def _place(state: State) -> bytes:
    return _status(status_of(state), state.position or None)


def _end(state: State, base: str) -> bytes:
    outputs = b"".join(frame("output", each) for each in outputs_of(state, base))
    return outputs + _status(status_of(state))


def _status(status: JobStatus, position: int | None = None) -> bytes:
    body: StatusEvent = {"status": status}
    if position is not None:
        body["queue_position"] = position
    return frame("status", body)


# An error ends the stream without an event of its own, so that the caller asks for the job itself.
_STYLE = EventStyle(_told, lambda _: b"", lambda *_: b"")
