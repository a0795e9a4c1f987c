"""`POST /v1/images/generations` and `POST /v1/images/edits`: pictures made from a text, or changed by one."""

from __future__ import annotations

import math
from dataclasses import replace

from flask import Response, request

from comfybridge.errors import (
    BridgeError,
    InvalidRequest,
    UnknownWorkflow,
)
from comfybridge.tasks import Task
from comfybridge.web.answers.answering import RUNNING_ERRORS, answer
from comfybridge.web.answers.links import linker
from comfybridge.web.answers.negotiation import JSON_ONLY, Wanted
from comfybridge.web.current import current_bridge, current_owner, current_rights, request_deadline
from comfybridge.web.describing import Answer, EventTypes, Variable, describes
from comfybridge.web.dialects.openai.answers import CompletedEvent, ErrorEvent, ImagesAnswer, PartialImageEvent
from comfybridge.web.dialects.openai.blueprint import blueprint
from comfybridge.web.dialects.openai.choosing import answers_with_links, choose
from comfybridge.web.dialects.openai.edits import read_edit
from comfybridge.web.dialects.openai.forms import EditForm
from comfybridge.web.dialects.openai.rendering import style_of
from comfybridge.web.dialects.openai.requests import NO_PICTURES, Pictures, field_named, request_of
from comfybridge.web.dialects.openai.schemas import EditBody, ImageFields, ImagesBody
from comfybridge.web.parsing.idempotency import HEADER, KEY
from comfybridge.web.parsing.models import json_fields, validated
from comfybridge.web.parsing.multipart import MEDIA_TYPE as MULTIPART
from comfybridge.workflow.wording import listed

PATIENCE = "X-Stainless-Read-Timeout"
# An answer must arrive before its client gives up and sends the request again: after this part of the client's time,
# and at least so many seconds before its end.
PART, SECONDS_BEFORE = 0.9, 5.0
ERRORS = (InvalidRequest, *RUNNING_ERRORS)
HEADERS = {
    HEADER: KEY,
    PATIENCE: Variable("how many seconds the client waits for the answer, as OpenAI's clients say", is_optional=True),
}


def _answers(kind: str) -> Answer:
    events = {
        f"{kind}.partial_image": PartialImageEvent,
        f"{kind}.completed": CompletedEvent,
        "error": ErrorEvent,
    }
    return Answer(
        "The pictures; events if `stream` is true.",
        {
            "application/json": ImagesAnswer,
            "text/event-stream": EventTypes(
                events, f"There is a `{kind}.completed` for each picture at the end, or one `error`."
            ),
        },
        headers={"X-Prompt-Id": "the id under which ComfyUI ran it"},
    )


@blueprint.post("/images/generations")
@describes(
    tag="OpenAI",
    body={"application/json": ImagesBody},
    headers=HEADERS,
    answers=_answers("image_generation"),
    raises=ERRORS,
)
def generate_images() -> Response:
    """Make pictures from a text.

    The call blocks until the pictures are there. `model` names a workflow, or a model for the default one. What the
    body leaves out is as the workflow has it.
    """
    fields = validated(json_fields(request, current_bridge().settings.max_json_bytes), ImagesBody)
    return _answered(fields, "txt2img", "image_generation")


@blueprint.post("/images/edits")
@describes(
    tag="OpenAI",
    body={MULTIPART: EditForm, "application/json": EditBody},
    headers=HEADERS,
    answers=_answers("image_edit"),
    raises=ERRORS,
)
def edit_images() -> Response:
    """Change pictures by a text.

    `model` is as in generations. If it names no workflow, the one for the task `edit` runs, or with a mask the one
    for `inpaint`.
    """
    fields, pictures = read_edit(request, current_bridge().settings)
    return _answered(fields, "edit" if pictures.mask is None else "inpaint", "image_edit", pictures)


def _answered(fields: ImageFields, task: Task, kind: str, pictures: Pictures = NO_PICTURES) -> Response:
    bridge = current_bridge()
    chosen = choose(bridge, fields.model, task, request_deadline(), current_owner())
    asked = request_of(fields, chosen.template, chosen.model, pictures)
    if asked.timeout is None and not fields.stream:  # a stream shows its client in time that it goes on
        asked = replace(asked, timeout=_seconds(request.headers.get(PATIENCE), bridge.settings.max_timeout))
    is_linked = fields.response_format == "url" or (
        fields.response_format is None and answers_with_links(fields.model)
    )
    style = style_of(fields, kind, linker() if is_linked and not fields.stream else None)
    try:
        return answer(
            asked, Wanted("events") if fields.stream else JSON_ONLY, style, keepalive=bridge.settings.keepalive
        )
    except BridgeError as error:
        error.field = field_named(error.field, fields, chosen.template)
        if error.field == "model" and chosen.model is not None and isinstance(error, InvalidRequest):
            rights = current_rights()
            allowed = [each for each in bridge.library.names() if rights is None or rights.allows_workflow(each)]
            names = listed(allowed, chosen.model)
            raise UnknownWorkflow(f"{error.message} It may also name a workflow: {names}.", field="model") from None
        raise


def _seconds(patience: str | None, most: float) -> float | None:
    """The time for a request whose client says how long it waits; None if it does not."""
    try:
        seconds = float(patience or "nan")
    except ValueError:
        return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(max(seconds * PART, seconds - SECONDS_BEFORE), most)
