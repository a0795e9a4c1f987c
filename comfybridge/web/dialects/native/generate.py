"""`POST /generate`: a workflow in, its picture out."""

from __future__ import annotations

from collections.abc import Collection

from flask import Response, request

from comfybridge.deadline import Deadline
from comfybridge.errors import (
    BridgeError,
    InvalidRequest,
    NotAcceptable,
)
from comfybridge.request import GenerationRequest
from comfybridge.settings import Settings
from comfybridge.web.answers.answering import RUNNING_ERRORS, answer
from comfybridge.web.answers.negotiation import wanted_form
from comfybridge.web.current import current_bridge
from comfybridge.web.describing import describes
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.form_schema import JSON_EXAMPLES, GenerateFields, GenerateForm
from comfybridge.web.dialects.native.generation import GENERATION, INDEX, style_of, wanted_index
from comfybridge.web.dialects.native.schemas import GenerateBody, generation_of, read_fields
from comfybridge.web.dialects.native.sent import read_sent
from comfybridge.web.dialects.native.urlencoded import MEDIA_TYPE
from comfybridge.web.parsing.body_stream import in_turn
from comfybridge.web.parsing.idempotency import HEADER, KEY
from comfybridge.web.parsing.multipart import MEDIA_TYPE as MULTIPART

SECONDS = 2.0  # for what an error may say of a template


@blueprint.post("/generate")
@describes(
    tag="Generate",
    body={"application/json": GenerateBody, MULTIPART: GenerateForm, MEDIA_TYPE: GenerateFields},
    examples={"application/json": JSON_EXAMPLES},
    query={"index": INDEX},
    headers={HEADER: KEY},
    answers=GENERATION,
    raises=(InvalidRequest, NotAcceptable, *RUNNING_ERRORS),
)
def generate() -> Response:
    """Run a workflow and return its outputs.

    The call blocks until the picture is there. `Accept` chooses the form of the answer. In a form (multipart), files
    stand beside the fields, under the names that the graph mentions, and what is no field is a parameter. A body may
    be compressed (`Content-Encoding: gzip` or `deflate`). Numbers may be written as texts, and a graph as JSON text.
    A graph may be in API format, as ComfyUI's editor saved it, or a picture that holds it.
    """
    with in_turn(request):
        asked, keepalive = _asked(current_bridge().settings)
    return answer(
        asked,
        wanted_form(request),
        style_of(with_first_image=asked.wants_first_image, with_links=asked.output.links),
        index=wanted_index(),
        keepalive=keepalive,
    )


def _asked(settings: Settings) -> tuple[GenerationRequest, float | None]:
    """The request, and the seconds between its keepalive spaces; nothing else of the body is kept."""
    sent = read_sent(settings)
    fields = read_fields(sent.fields, _parameters_of)
    return generation_of(fields, sent.files), fields.keepalive or settings.keepalive


def _parameters_of(workflow: str | None) -> Collection[str]:
    """The names of a template's parameters; empty if it can't be read, which another error reports."""
    bridge = current_bridge()
    try:
        return bridge.templates.get(workflow or bridge.settings.default_workflow, Deadline(SECONDS)).parameters
    except BridgeError:
        return ()
