"""`POST /generate`: a workflow in, its picture out."""

from __future__ import annotations

from collections.abc import Collection

from flask import Blueprint, Response, g, request

from comfybridge.errors import (
    BridgeError,
    Busy,
    IdempotencyConflict,
    InvalidWorkflow,
    PromptLost,
    RateLimited,
    ShuttingDown,
    TooLarge,
    UnknownWorkflow,
)
from comfybridge.repeats import fingerprint_of
from comfybridge.web.answering import COLLECTING_ERRORS, GENERATION, INDEX, answer
from comfybridge.web.body import read_json
from comfybridge.web.current import current_bridge, current_owner
from comfybridge.web.describing import describes
from comfybridge.web.examples import JSON_EXAMPLES
from comfybridge.web.form_schema import GenerateForm
from comfybridge.web.multipart import is_multipart, read_form
from comfybridge.web.repeating import HEADER, KEY, idempotency_key
from comfybridge.web.schemas import GenerateBody, parse_generation

blueprint = Blueprint("generate", __name__)


@blueprint.post("/generate")
@describes(
    tag="Generate",
    body={"application/json": GenerateBody, "multipart/form-data": GenerateForm},
    examples={"application/json": JSON_EXAMPLES},
    query={"index": INDEX},
    headers={HEADER: KEY},
    answers=GENERATION,
    raises=(
        *COLLECTING_ERRORS,
        InvalidWorkflow,
        UnknownWorkflow,
        TooLarge,
        PromptLost,
        Busy,
        ShuttingDown,
        IdempotencyConflict,
        RateLimited,
    ),
)
def generate() -> Response:
    """Run a workflow and answer with what it made.

    The call blocks until the picture is there. `Accept` chooses the form of the answer. In a form (multipart), files
    stand beside the fields, under the names that the graph mentions, and what is no field is a parameter.
    """
    bridge = current_bridge()
    settings = bridge.settings
    if is_multipart(request):
        form = read_form(request, settings.max_json_bytes, settings.max_upload_bytes)
        body, files = form.fields, form.files
    else:
        body, files = read_json(request, settings.max_json_bytes), []
    asked = parse_generation(body, g.started, _parameters_of)
    asked.images += files
    asked.idempotency_key = idempotency_key(request)
    asked.fingerprint = fingerprint_of(asked)  # of the body: the same one may be asked for in another form
    asked.owner = current_owner()
    keepalive = body.get("keepalive") or bridge.settings.keepalive
    return answer(bridge, asked, with_first_image=asked.wants_first_image, keepalive=keepalive)


def _parameters_of(workflow: str | None) -> Collection[str]:
    """The names of a template's parameters; none if it can't be read, which is another error's to tell."""
    bridge = current_bridge()
    try:
        return bridge.library.get(workflow or bridge.settings.default_workflow).parameters
    except BridgeError:
        return ()
