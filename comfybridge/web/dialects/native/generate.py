"""`POST /generate`: a workflow in, its picture out."""

from __future__ import annotations

from collections.abc import Collection

from flask import Response, request

from comfybridge.errors import (
    BridgeError,
    BrokenWorkflow,
    Busy,
    IdempotencyConflict,
    InvalidWorkflow,
    ModelMissing,
    PromptLost,
    RateLimited,
    ShuttingDown,
    TooLarge,
    UnknownWorkflow,
    UnsupportedMediaType,
)
from comfybridge.request import GenerationRequest
from comfybridge.settings import Settings
from comfybridge.web.answers.answering import answer
from comfybridge.web.answers.negotiation import wanted_form
from comfybridge.web.current import current_bridge
from comfybridge.web.describing import describes
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.form import Form, read_form
from comfybridge.web.dialects.native.form_schema import JSON_EXAMPLES, GenerateFields, GenerateForm
from comfybridge.web.dialects.native.generation import COLLECTING_ERRORS, GENERATION, INDEX, style_of, wanted_index
from comfybridge.web.dialects.native.schemas import GenerateBody, generation_of, read_fields
from comfybridge.web.dialects.native.urlencoded import MEDIA_TYPE, is_urlencoded, read_urlencoded, unescaped
from comfybridge.web.parsing.body import read_json
from comfybridge.web.parsing.body_stream import BodyStream, in_turn
from comfybridge.web.parsing.charsets import charset_of
from comfybridge.web.parsing.idempotency import HEADER, KEY
from comfybridge.web.parsing.multipart import MEDIA_TYPE as MULTIPART
from comfybridge.web.parsing.multipart import is_multipart


@blueprint.post("/generate")
@describes(
    tag="Generate",
    body={"application/json": GenerateBody, MULTIPART: GenerateForm, MEDIA_TYPE: GenerateFields},
    examples={"application/json": JSON_EXAMPLES},
    query={"index": INDEX},
    headers={HEADER: KEY},
    answers=GENERATION,
    raises=(
        *COLLECTING_ERRORS,
        InvalidWorkflow,
        BrokenWorkflow,
        ModelMissing,
        UnknownWorkflow,
        TooLarge,
        UnsupportedMediaType,
        PromptLost,
        Busy,
        ShuttingDown,
        IdempotencyConflict,
        RateLimited,
    ),
)
def generate() -> Response:
    """Run a workflow and return its outputs.

    The call blocks until the picture is there. `Accept` chooses the form of the answer. In a form (multipart), files
    stand beside the fields, under the names that the graph mentions, and what is no field is a parameter. A body may
    be compressed (`Content-Encoding: gzip` or `deflate`). Numbers may be written as texts, and a graph as JSON text.
    """
    with in_turn(request):
        asked, keepalive = _asked(current_bridge().settings)
    return answer(
        asked,
        wanted_form(request),
        style_of(with_first_image=asked.wants_first_image),
        index=wanted_index(),
        keepalive=keepalive,
    )


def _asked(settings: Settings) -> tuple[GenerationRequest, float | None]:
    """What is asked for, and how often a sign of life is; nothing else of the body is kept."""
    sent = _form(settings)
    fields = read_fields(sent.fields, _parameters_of)
    return generation_of(fields, sent.files), fields.keepalive or settings.keepalive


def _form(settings: Settings) -> Form:
    """The fields and the files of the request, whatever its body is."""
    if is_multipart(request):
        return read_form(request, settings.max_json_bytes, settings.max_upload_bytes)
    charset = charset_of(request)
    raw = BodyStream(request, settings.max_json_bytes, "one without files may have").read_all()
    if is_urlencoded(request, raw):
        return Form(read_urlencoded(raw, charset), [])
    return Form(read_json(unescaped(request, raw), charset), [])


def _parameters_of(workflow: str | None) -> Collection[str]:
    """The names of a template's parameters; empty if it can't be read, which another error reports."""
    bridge = current_bridge()
    try:
        return bridge.library.get(workflow or bridge.settings.default_workflow).parameters
    except BridgeError:
        return ()
