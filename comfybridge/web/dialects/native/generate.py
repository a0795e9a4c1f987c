"""`POST /generate`: a workflow in, its picture out."""

from __future__ import annotations

from flask import Response, request

from comfybridge.errors import InvalidRequest, NotAcceptable
from comfybridge.request import GenerationRequest
from comfybridge.settings import Settings
from comfybridge.web.answers.answering import RUNNING_ERRORS, answer
from comfybridge.web.answers.negotiation import wanted_form
from comfybridge.web.current import current_bridge, current_jobs
from comfybridge.web.describing import Variable, describes
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.form_schema import JSON_EXAMPLES, GenerateFields, GenerateForm
from comfybridge.web.dialects.native.generation import GENERATION, INDEX, style_of, wanted_index
from comfybridge.web.dialects.native.job_fields import LaterBody
from comfybridge.web.dialects.native.later import ACCEPTED, answered_later, as_comfylite
from comfybridge.web.dialects.native.schemas import GenerateBody, generation_of, read_fields
from comfybridge.web.dialects.native.sent import read_sent
from comfybridge.web.dialects.native.template_parameters import parameters_of
from comfybridge.web.dialects.native.urlencoded import MEDIA_TYPE
from comfybridge.web.parsing.body_stream import in_turn
from comfybridge.web.parsing.idempotency import HEADER, KEY
from comfybridge.web.parsing.multipart import MEDIA_TYPE as MULTIPART
from comfybridge.web.parsing.prefer import HEADER as PREFER

LATER = Variable(
    "`respond-async` answers at once; with `wait=N` only if the result is not there within N seconds (RFC 7240)",
    is_optional=True,
    needs_jobs=True,
)


@blueprint.post("/generate")
@describes(
    tag="Generate",
    body={"application/json": GenerateBody, MULTIPART: GenerateForm, MEDIA_TYPE: GenerateFields},
    examples={"application/json": JSON_EXAMPLES},
    query={"index": INDEX},
    headers={HEADER: KEY, PREFER: LATER},
    answers={200: GENERATION, 202: ACCEPTED},
    raises=(InvalidRequest, NotAcceptable, *RUNNING_ERRORS),
)
def generate() -> Response:
    """Run a workflow and return its outputs.

    The call blocks until the picture is there. `Accept` chooses the form of the answer. In a form (multipart), files
    stand beside the fields, under the names that the graph mentions, and what is no field is a parameter. A body may
    be compressed (`Content-Encoding: gzip` or `deflate`). Numbers may be written as texts, and a graph as JSON text.
    A graph may be in API format, as ComfyUI's editor saved it, or a picture that holds it. With `Prefer:
    respond-async` the answer is that of `POST /jobs`, where the bridge has jobs.
    """
    wanted, index = wanted_form(request), wanted_index()
    with in_turn(request):
        asked, keepalive, webhook_url = _asked(current_bridge().settings)
    if webhook_url is not None:
        return as_comfylite(asked, webhook_url)
    later = answered_later(asked, wanted, index)
    if later is not None:
        return later
    return answer(
        asked,
        wanted,
        style_of(with_first_image=asked.wants_first_image, with_links=asked.output.links),
        index=index,
        keepalive=keepalive,
    )


def _asked(settings: Settings) -> tuple[GenerationRequest, float | None, str | None]:
    """The request, the seconds between its keepalive spaces, and the webhook; nothing else of the body is kept."""
    model = GenerateBody if current_jobs() is None else LaterBody
    sent = read_sent(settings, model)
    fields = read_fields(sent.fields, model, parameters_of)
    webhook_url = fields.webhook_url if isinstance(fields, LaterBody) else None
    return generation_of(fields, sent.files), fields.keepalive or settings.keepalive, webhook_url or None
