"""The jobs of the Comfy API v2, and its health."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response, g, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, StrictStr
from typing_extensions import TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.errors import (
    Busy,
    ComfyUIUnreachable,
    EngineUnreachable,
    IdempotencyConflict,
    InvalidRequest,
    InvalidWorkflow,
    MissingAsset,
    RateLimited,
    ShuttingDown,
    TooLarge,
    UnknownPrompt,
    UnsupportedMediaType,
)
from comfybridge.jobs.states import State, Wishes
from comfybridge.request import GenerationRequest, OutputOptions
from comfybridge.web.answers.queued_jobs import needed_jobs, queue_job, wait_for
from comfybridge.web.current import base_url, current_bridge, current_caller, current_owner, whose_prompts
from comfybridge.web.describing import Variable, describes, json_answer
from comfybridge.web.dialects.comfy.blueprint import blueprint
from comfybridge.web.dialects.comfy.errors import Malformed, MetadataInvalid, WorkflowFormatUi
from comfybridge.web.dialects.comfy.held_polls import Polls, wish_of
from comfybridge.web.dialects.comfy.job_bodies import (
    ComfyJob,
    JobsBody,
    WorkflowBody,
    job_body,
    job_item,
)
from comfybridge.web.dialects.comfy.labels import check_labels, filters_in
from comfybridge.web.dialects.comfy.references import resolve
from comfybridge.web.marks import marked
from comfybridge.web.parsing.idempotency import HEADER, PATTERN
from comfybridge.web.parsing.models import json_fields, validated
from comfybridge.workflow.wrapping import is_of_editor, unwrap

TAG = "Comfy API v2"
MOST_LISTED, USUALLY_LISTED = 100, 50
SPARED = 8  # polls are held while more than one of so many slots is free
POLLS = Polls()
EXAMPLE = '{"workflow": {"1": {"class_type": "LoadImage", "inputs": {"image": "cat.png"}}}}'

JOB_ID = Variable("the job's id", Annotated[str, Field(min_length=1, max_length=100)])
KEY = Variable(
    "Any text of your own. A second request with the key is refused for 24 hours.",
    Annotated[str, Field(min_length=1, max_length=255, pattern=f"^{PATTERN}$")],
    is_optional=True,
)
JOB = json_answer("The job.", ComfyJob)
ASKING_ERRORS = (UnknownPrompt, EngineUnreachable)


class ExtraData(BaseModel):
    """What comes with a workflow beside its graph."""

    model_config = ConfigDict(extra="forbid", strict=True)

    api_key_comfy_org: StrictStr | None = Field(None, description="the key for nodes that call services")


class JobRequest(BaseModel):
    """The body of `POST /api/v2/jobs`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    workflow: dict[str, Any] = Field(description="a graph in ComfyUI's API format")
    extra_data: ExtraData | None = Field(None, examples=[{}])
    metadata: dict[str, Any] | None = Field(
        None, description="up to 16 labels, names and texts of your own", examples=[{}]
    )


class HealthAnswer(TypedDict):
    """The bridge answers."""

    status: Literal["healthy"]


@blueprint.post("/jobs")
@describes(
    tag=TAG,
    body={"application/json": JobRequest},
    headers={HEADER: KEY},
    answers={201: JOB},
    raises=(
        Malformed,
        InvalidWorkflow,
        WorkflowFormatUi,
        MissingAsset,
        MetadataInvalid,
        IdempotencyConflict,
        TooLarge,
        UnsupportedMediaType,
        RateLimited,
        Busy,
        ShuttingDown,
        ComfyUIUnreachable,
        EngineUnreachable,
    ),
)
def post_job() -> tuple[Response, int]:
    """Queue a workflow. It is on disk when this answers."""
    settings = current_bridge().settings
    fields = validated(_sent(settings.max_json_bytes), JobRequest, _of_reserved)
    labels = check_labels(fields.metadata or {})
    graph, files = resolve(_graph_in(fields.workflow), current_owner())
    asked = GenerationRequest(
        graph=graph,
        images=files,
        timeout=settings.max_timeout,
        dynamic_texts=False,
        output=OutputOptions(previews=True),
        extra_data={} if fields.extra_data is None else fields.extra_data.model_dump(exclude_none=True),
    )
    state = queue_job(asked, Wishes(labels=labels, base_url=base_url(), keeps_graph=True), is_single_use=True)
    body = job_body(state)
    response = jsonify(body)
    response.headers["Location"] = body["urls"]["self"]
    return response, 201


@blueprint.get("/jobs")
@describes(
    tag=TAG,
    query={
        "limit": Variable(
            "how many jobs at most", Annotated[int, Field(ge=1, le=MOST_LISTED)], default=USUALLY_LISTED
        ),
        "cursor": Variable("`next_cursor` of the page before", is_optional=True),
    },
    answers=json_answer("The jobs.", JobsBody),
    raises=(Malformed, EngineUnreachable),
)
def list_jobs() -> Response:
    """The caller's jobs, the newest first. `metadata[NAME]=VALUE` names a label that they must have."""
    labels, limit = filters_in(request.args.items(multi=True)), _limit()
    cursor = request.args.get("cursor") or None
    try:
        page = needed_jobs().page(whose_prompts(), status=(), labels=labels, cursor=cursor, limit=limit)
    except InvalidRequest as error:
        raise Malformed(error.message, "invalid_cursor") from None
    body: JobsBody = {"jobs": [job_item(each) for each in page.states]}
    if page.next_cursor is not None:
        body["next_cursor"] = page.next_cursor
    return jsonify(body)


@blueprint.get("/jobs/<job_id>")
@describes(tag=TAG, path={"job_id": JOB_ID}, answers=JOB, raises=ASKING_ERRORS)
def get_job(job_id: str) -> Response:
    """The state of a job.

    An SDK that asks again and again is answered when the job ends, or after some seconds; so is a caller with
    `Prefer: wait=N`.
    """
    return jsonify(job_body(_held(found_job(job_id))))


@blueprint.get("/jobs/<job_id>/workflow")
@describes(tag=TAG, path={"job_id": JOB_ID}, answers=json_answer("The workflow.", WorkflowBody), raises=ASKING_ERRORS)
def get_job_workflow(job_id: str) -> Response:
    """The graph of a job: as it ran, or as it was sent if it has not ended."""
    graph = needed_jobs().graph(found_job(job_id))
    if graph is None:
        raise UnknownPrompt("The workflow of that job is not kept; it was not queued here.", prompt_id=job_id)
    body: WorkflowBody = {"workflow": graph, "format": "api"}
    return jsonify(body)


@blueprint.post("/jobs/<job_id>/cancel")
@describes(tag=TAG, path={"job_id": JOB_ID}, answers=JOB, raises=ASKING_ERRORS)
def cancel_job(job_id: str) -> Response:
    """Cancel a job that waits or runs. A job that has ended stays as it is.

    Of a job that runs the answer says what became of it; if ComfyUI does not stop within some seconds, that it is
    being cancelled.
    """
    found_job(job_id)
    _, state = needed_jobs().cancel(job_id, whose_prompts())
    return jsonify(job_body(state))


@blueprint.get("/health")
@marked(is_open=True, is_quiet=True)
@describes(tag=TAG, answers=json_answer("It does.", HealthAnswer))
def health() -> Response:
    """The bridge answers."""
    body: HealthAnswer = {"status": "healthy"}
    return jsonify(body)


def found_job(job_id: str) -> State:
    """A job of the caller's. A blocking request to a fleet is none: its files go with its answer.

    Raises:
        UnknownPrompt, EngineUnreachable
    """
    state = needed_jobs().find(job_id, whose_prompts())
    if state.kind != "kept":
        raise UnknownPrompt("That is a request to another API, whose answer has its outputs.", prompt_id=job_id)
    g.prompt_id = state.id
    return state


def _held(state: State) -> State:
    """The state of a job when a poll for it is answered."""
    wish = wish_of(request)
    if state.has_ended or wish == 0:
        return state
    caller, slots = current_caller(), current_bridge().slots
    seconds = POLLS.hold(caller, state.id, state.created) if wish is None else wish
    jobs, spare = needed_jobs(), slots.count // SPARED
    now = wait_for(jobs, state, seconds, spare=spare)
    if now.eta_seconds is not None and now.eta_seconds <= seconds / 2:  # it may end before the next poll
        now = wait_for(jobs, now, seconds / 2, spare=spare)
    if not now.has_ended:
        POLLS.answer(caller, state.id, was_held=now is not state)
    return now


def _sent(most: int) -> dict[str, Any]:
    """The body, which must be a JSON object.

    Raises:
        Malformed, TooLarge, UnsupportedMediaType
    """
    try:
        return json_fields(request, most, EXAMPLE)
    except InvalidRequest as error:
        raise Malformed(error.message) from None


def _graph_in(workflow: dict[str, Any]) -> dict[str, Any]:
    """The graph that a workflow is, or that some program has wrapped, such as the body of ComfyUI's own `/prompt`.

    Raises:
        WorkflowFormatUi: it is a file of the editor.
        InvalidWorkflow
    """
    found = None if is_of_editor(workflow) else unwrap(workflow)
    if is_of_editor(workflow) or (found is not None and found.is_of_editor):
        raise WorkflowFormatUi("The workflow is a file of ComfyUI's editor; export it in API format.")
    return workflow if found is None else found.graph


def _of_reserved(name: str, *_: object) -> str | None:
    reserved = ("webhook_url", "inputs")
    return f"{name} is reserved, and not accepted." if name in reserved else None


def _limit() -> int:
    text = request.args.get("limit") or str(USUALLY_LISTED)
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_LISTED):
        raise Malformed(f"limit is {text[:40]!r}; it must be a whole number from 1 to {MOST_LISTED}.")
    return int(text)
