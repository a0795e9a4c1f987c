"""`POST /jobs` and what is asked of jobs: requests whose answers come later."""

from __future__ import annotations

import re
from typing import Annotated

from flask import Blueprint, Response, g, jsonify, request
from pydantic import Field

from comfybridge.errors import (
    Busy,
    EngineUnreachable,
    Forbidden,
    InvalidRequest,
    MissingAsset,
    NotAcceptable,
    UnknownPrompt,
)
from comfybridge.jobs.states import STATUSES, Status
from comfybridge.web.answers.answering import RUNNING_ERRORS
from comfybridge.web.answers.negotiation import wanted_form
from comfybridge.web.answers.queued_jobs import needed_jobs, queue_job
from comfybridge.web.current import base_url, current_bridge, whose_prompts
from comfybridge.web.describing import Answer, EventTypes, Variable, describes, json_answer
from comfybridge.web.dialects.native.bodies import (
    ErrorAnswer,
    GenerationAnswer,
    PreviewEvent,
    ProgressEvent,
    QueuedEvent,
)
from comfybridge.web.dialects.native.form_schema import JSON_EXAMPLES
from comfybridge.web.dialects.native.generation import COLLECTING_ERRORS, GENERATION, INDEX, wanted_index
from comfybridge.web.dialects.native.job_bodies import (
    CancelledJobAnswer,
    HookBody,
    JobAnswer,
    JobsAnswer,
    job_body,
)
from comfybridge.web.dialects.native.job_fields import JobBody, JobFields, JobForm, wishes_of
from comfybridge.web.dialects.native.job_results import job_events, job_result
from comfybridge.web.dialects.native.later import ACCEPTED, accepted_or_ended
from comfybridge.web.dialects.native.schemas import generation_of, read_fields
from comfybridge.web.dialects.native.sent import read_sent
from comfybridge.web.dialects.native.template_parameters import parameters_of
from comfybridge.web.dialects.native.urlencoded import MEDIA_TYPE
from comfybridge.web.parsing.body_stream import in_turn
from comfybridge.web.parsing.idempotency import HEADER, KEY
from comfybridge.web.parsing.multipart import MEDIA_TYPE as MULTIPART
from comfybridge.web.parsing.prefer import HEADER as PREFER
from comfybridge.web.parsing.prefer import preference_of

blueprint = Blueprint("jobs", __name__)

TAG = "Jobs"
MOST_LISTED, USUALLY_LISTED = 100, 20
JOB_ID = Variable("the job's id", Annotated[str, Field(min_length=1, max_length=100)])
WAIT = Variable("`wait=N`: how many seconds to wait for the result first (RFC 7240)", is_optional=True)
STATE = json_answer("The job.", JobAnswer)
EVENTS = Answer(
    "What happens to the job, from its state now to its end.",
    {
        "text/event-stream": EventTypes(
            {
                "queued": QueuedEvent,
                "progress": ProgressEvent,
                "preview": PreviewEvent,
                "result": GenerationAnswer,
                "error": ErrorAnswer,
            },
            "`result` or `error` is the last event. Lines that begin with a colon keep an idle stream open.",
        )
    },
)
ASKING_ERRORS = (UnknownPrompt, EngineUnreachable)


@blueprint.post("/jobs")
@describes(
    tag=TAG,
    body={"application/json": JobBody, MULTIPART: JobForm, MEDIA_TYPE: JobFields},
    examples={"application/json": JSON_EXAMPLES},
    query={"index": INDEX},
    headers={HEADER: KEY, PREFER: WAIT},
    answers={200: GENERATION, 202: ACCEPTED},
    raises=(InvalidRequest, NotAcceptable, Forbidden, EngineUnreachable, *RUNNING_ERRORS),
    hooks={"jobEnded": HookBody},
)
def create_job() -> Response:
    """Run a workflow, and answer later.

    Takes what `POST /generate` takes, and answers as soon as the job is on disk. A request that cannot work is
    refused at once. With `Prefer: wait=N` the answer is that of `/generate`, if the job ends within N seconds.
    """
    preference, wanted, index = preference_of(request), wanted_form(request), wanted_index()
    jobs, settings = needed_jobs(), current_bridge().settings
    with in_turn(request):
        sent = read_sent(settings, JobBody)
        fields = read_fields(sent.fields, JobBody, parameters_of)
        asked = generation_of(fields, sent.files)
    state = queue_job(asked, wishes_of(fields, settings, base_url()))
    return accepted_or_ended(jobs, state, preference, wanted, index)


@blueprint.get("/jobs")
@describes(
    tag=TAG,
    query={
        "status": Variable(
            "only jobs of that status; may be given several times, for any of them", Status, is_optional=True
        ),
        "label": Variable("only jobs with that label, as `name:value`; may be given several times", is_optional=True),
        "limit": Variable(
            "how many jobs at most", Annotated[int, Field(ge=1, le=MOST_LISTED)], default=USUALLY_LISTED
        ),
        "cursor": Variable("`next_cursor` of the page before", is_optional=True),
    },
    answers=json_answer("The jobs.", JobsAnswer),
    raises=(InvalidRequest, EngineUnreachable),
)
def list_jobs() -> Response:
    """The caller's jobs, the newest first, for as long as their results are kept."""
    page = needed_jobs().page(
        whose_prompts(),
        status=_statuses(),
        labels=_labels(),
        cursor=request.args.get("cursor") or None,
        limit=_limit(),
    )
    body: JobsAnswer = {
        "jobs": [job_body(each, base_url(), g.request_id) for each in page.states],
        "next_cursor": page.next_cursor,
    }
    return jsonify(body)


@blueprint.get("/jobs/<job_id>")
@describes(tag=TAG, path={"job_id": JOB_ID}, answers=STATE, raises=ASKING_ERRORS)
def get_job(job_id: str) -> Response:
    """The state of a job."""
    state = needed_jobs().find(job_id, whose_prompts())
    g.prompt_id = state.id
    return jsonify(job_body(state, base_url(), g.request_id))


@blueprint.get("/jobs/<job_id>/events")
@describes(tag=TAG, path={"job_id": JOB_ID}, answers=EVENTS, raises=(*ASKING_ERRORS, Busy))
def follow_job(job_id: str) -> Response:
    """The progress of a job as server-sent events, up to its result."""
    jobs = needed_jobs()
    g.prompt_id = jobs.find(job_id, whose_prompts()).id
    return job_events(jobs, job_id)


@blueprint.post("/jobs/<job_id>/cancel")
@describes(
    tag=TAG,
    path={"job_id": JOB_ID},
    answers=json_answer("The job as it is then.", CancelledJobAnswer),
    raises=ASKING_ERRORS,
)
def cancel_job(job_id: str) -> Response:
    """Cancel a job that waits or runs.

    One that runs ends as ComfyUI says: it may just have succeeded. If ComfyUI does not stop within some seconds, it
    is `cancelling` until then. A job that has ended stays as it is.
    """
    was, state = needed_jobs().cancel(job_id, whose_prompts())
    g.prompt_id = state.id
    body: CancelledJobAnswer = {**job_body(state, base_url(), g.request_id), "was": was.status}
    return jsonify(body)


@blueprint.get("/jobs/<job_id>/result")
@describes(
    tag=TAG,
    path={"job_id": JOB_ID},
    query={"index": INDEX},
    answers={200: GENERATION, 202: json_answer("The job waits or runs.", JobAnswer)},
    raises=(*COLLECTING_ERRORS, *RUNNING_ERRORS, *ASKING_ERRORS, MissingAsset),
)
def get_job_result(job_id: str) -> Response:
    """What `/generate` would have answered, in the form that `Accept` names.

    If the job failed, that is the error with its status.
    """
    jobs, wanted, index = needed_jobs(), wanted_form(request), wanted_index()
    state = jobs.find(job_id, whose_prompts())
    g.prompt_id = state.id
    if state.has_ended:
        return job_result(jobs, state, wanted, index)
    if wanted.form == "events":
        return job_events(jobs, job_id)
    response = jsonify(job_body(state, base_url(), g.request_id))
    response.status_code = 202
    return response


def _statuses() -> list[str]:
    statuses = [each for each in request.args.getlist("status") if each]
    for each in statuses:
        if each not in STATUSES:
            raise InvalidRequest(f"status is {each[:40]!r}; it must be one of {', '.join(STATUSES)}.", field="status")
    return statuses


def _labels() -> list[tuple[str, str]]:
    labels = []
    for text in request.args.getlist("label"):
        name, colon, value = text.partition(":")
        if not colon or not name:
            raise InvalidRequest(f"label is {text[:40]!r}; it must be name:value.", field="label")
        labels.append((name, value))
    return labels


def _limit() -> int:
    text = request.args.get("limit") or str(USUALLY_LISTED)
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_LISTED:
        said = f"limit is {text[:40]!r}; it must be a whole number from 1 to {MOST_LISTED}."
        raise InvalidRequest(said, field="limit")
    return int(text)
