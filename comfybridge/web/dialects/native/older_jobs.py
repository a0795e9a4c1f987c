"""`POST /generate-async` and `GET /progress/ID`: jobs for callers that know other bridges."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from flask import Response, g, jsonify, request
from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.errors import BridgeError, Busy, EngineUnreachable, Forbidden, InvalidRequest, UnknownPrompt
from comfybridge.jobs.states import State
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.web.answers.answering import RUNNING_ERRORS
from comfybridge.web.answers.queued_jobs import followed, needed_jobs, queue_job
from comfybridge.web.answers.style import EventStyle
from comfybridge.web.current import base_url, current_bridge, whose_prompts
from comfybridge.web.describing import Answer, EventTypes, describes
from comfybridge.web.dialects.native.bodies import PromptId
from comfybridge.web.dialects.native.form_schema import JSON_EXAMPLES
from comfybridge.web.dialects.native.job_bodies import AcceptedAnswer, accepted_body
from comfybridge.web.dialects.native.job_fields import JobBody, JobFields, JobForm, wishes_of
from comfybridge.web.dialects.native.jobs import JOB_ID, TAG, blueprint
from comfybridge.web.dialects.native.schemas import generation_of, read_fields
from comfybridge.web.dialects.native.sent import read_sent
from comfybridge.web.dialects.native.template_parameters import parameters_of
from comfybridge.web.dialects.native.urlencoded import MEDIA_TYPE
from comfybridge.web.parsing.body_stream import in_turn
from comfybridge.web.parsing.idempotency import HEADER, KEY
from comfybridge.web.parsing.multipart import MEDIA_TYPE as MULTIPART

JOBS_BLUEPRINT = blueprint  # with all views of jobs, those of this module included


class OlderAcceptedAnswer(AcceptedAnswer):
    """A job that was accepted."""

    prompt_id: PromptId


class OlderProgress(TypedDict):
    """How far a job is."""

    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    progress: Annotated[float, Field(description="from 0 to 1")]
    current_node: Annotated[str | None, Field(description="the class of the node that runs")]
    prompt_id: PromptId
    error: NotRequired[Annotated[str, Field(description="one sentence, if it failed")]]


@blueprint.post("/generate-async")
@describes(
    tag=TAG,
    body={"application/json": JobBody, MULTIPART: JobForm, MEDIA_TYPE: JobFields},
    examples={"application/json": JSON_EXAMPLES},
    headers={HEADER: KEY},
    answers={202: Answer("The job is on disk, and will run.", {"application/json": OlderAcceptedAnswer})},
    raises=(InvalidRequest, Forbidden, EngineUnreachable, *RUNNING_ERRORS),
)
def generate_async() -> Response:
    """`POST /jobs` under an older name, with `prompt_id` in the answer."""
    needed_jobs()
    settings = current_bridge().settings
    with in_turn(request):
        sent = read_sent(settings, JobBody)
        fields = read_fields(sent.fields, JobBody, parameters_of)
        asked = generation_of(fields, sent.files)
    state = queue_job(asked, wishes_of(fields, settings, base_url()))
    body: OlderAcceptedAnswer = {**accepted_body(state.id, state.status, base_url()), "prompt_id": state.id}
    response = jsonify(body)
    response.status_code = 202
    response.headers["Location"] = body["urls"]["self"]
    return response


@blueprint.get("/progress/<job_id>")
@describes(
    tag=TAG,
    path={"job_id": JOB_ID},
    answers=Answer(
        "How far it is, until it has ended.",
        {"text/event-stream": EventTypes({"message": OlderProgress}, "Events have no name.")},
    ),
    raises=(UnknownPrompt, EngineUnreachable, Busy),
)
def follow_progress(job_id: str) -> Response:
    """The progress of a job, in an older form than `/jobs/ID/events`; `GET /results/ID` then has the result."""
    jobs = needed_jobs()
    g.prompt_id = jobs.find(job_id, whose_prompts()).id
    told = _Told(job_id)
    return followed(jobs, job_id, EventStyle(told.step, told.nothing, told.failed), told.end)


class _Told:
    """Writes the events of one job."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._progress = 0.0
        self._node: str | None = None

    def step(self, heard: Queued | Progress | Preview) -> bytes:
        """A step forward; a preview is none."""
        if isinstance(heard, Preview):
            return b""
        if isinstance(heard, Queued):
            return self._message("running" if heard.position == 0 else "queued")
        self._progress = heard.percent / 100
        self._node = heard.class_type or heard.node_id or None
        return self._message("running")

    def end(self, state: State) -> bytes:
        """How it ended."""
        self._node = None
        if state.status == "succeeded":
            self._progress = 1.0
            return self._message("completed")
        error = state.error
        return self._message("cancelled" if state.status == "cancelled" else "failed", error)

    def failed(self, error: BridgeError, _request_id: str) -> bytes:
        """An error of the bridge's own."""
        return self._message("failed", error)

    def nothing(self, _generation: object) -> bytes:
        """The result, which such callers fetch themselves."""
        return b""

    def _message(
        self,
        status: Literal["queued", "running", "completed", "failed", "cancelled"],
        error: BridgeError | None = None,
    ) -> bytes:
        body: OlderProgress = {
            "status": status,
            "progress": round(self._progress, 4),
            "current_node": self._node,
            "prompt_id": self._job_id,
        }
        if error is not None:
            body["error"] = error.message
        return b"data: " + json.dumps(body).encode() + b"\n\n"
