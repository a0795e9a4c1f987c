"""`POST /convert`: a workflow as ComfyUI's editor saved it in, the same in API format out."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

from flask import Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from comfybridge.deadline import Deadline
from comfybridge.errors import (
    BridgeError,
    ComfyUIError,
    ComfyUIUnreachable,
    InvalidRequest,
    InvalidWorkflow,
    TimedOut,
    TooLarge,
    UnsupportedMediaType,
)
from comfybridge.prompts.inventory import needs
from comfybridge.web.current import current_bridge, current_owner, current_rights, request_deadline
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import ConvertAnswer
from comfybridge.web.dialects.native.envelopes import opened
from comfybridge.web.dialects.native.sent import read_sent
from comfybridge.web.dialects.native.workflows import CHOICES_SECONDS, models_json
from comfybridge.web.parsing.body_stream import in_turn
from comfybridge.web.parsing.models import validated
from comfybridge.web.parsing.multipart import MEDIA_TYPE as MULTIPART

FILE = {"type": "string", "format": "binary", "description": "the file, or a picture or video that holds it"}
EXAMPLE = {
    "workflow": {
        "nodes": [
            {"id": 1, "type": "EmptyImage", "widgets_values": [256, 256, 1, 0xFF8800]},
            {"id": 2, "type": "SaveImage", "inputs": [{"name": "images", "type": "IMAGE", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
    }
}


class ConvertBody(BaseModel):
    """The JSON body of `POST /convert`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    workflow: dict[str, Any] | None = Field(None, description="the workflow, as ComfyUI's editor saved it")
    prompt: dict[str, Any] | None = Field(None, description="the same, instead of workflow")


class ConvertForm(BaseModel):
    """The parts of a form."""

    workflow: Annotated[bytes, WithJsonSchema(FILE)]


@blueprint.post("/convert")
@describes(
    tag="Workflows",
    body={"application/json": ConvertBody, MULTIPART: ConvertForm},
    examples={"application/json": {"a saved workflow": EXAMPLE}},
    answers=json_answer("The workflow in API format.", ConvertAnswer),
    raises=(
        InvalidRequest,
        InvalidWorkflow,
        TooLarge,
        UnsupportedMediaType,
        ComfyUIError,
        ComfyUIUnreachable,
        TimedOut,
    ),
)
def convert() -> Response:
    """The prompt that ComfyUI's editor would send for a workflow that it saved, and the parameters found in it.

    The body may be the file itself too, or a picture that ComfyUI made. A graph in API format is answered as it is.
    """
    bridge = current_bridge()
    with in_turn(request):
        graph = _graph(read_sent(bridge.settings).fields)
    offer = bridge.convert(graph, request_deadline(), current_owner())
    template, rights = offer.template, current_rights()
    authored, schema = template.authored, template.schema(offer.choices, offer.limits)
    needed = needs(template)
    if rights is None or rights.policy.server_info:
        with contextlib.suppress(BridgeError):  # the graph can be read without a ComfyUI
            needed = bridge.inventory(template, Deadline(CHOICES_SECONDS))
    body: ConvertAnswer = {
        "prompt": template.graph,
        "parameters": schema["properties"],
        "warnings": [] if authored is None else list(authored.warnings),
        "required": schema.get("required", []),
        "tasks": list(template.tasks),
        "unclear": template.unclear,
        "models": models_json(needed),
        "missing_nodes": needed.missing_nodes,
        "mask": template.mask_form(),
    }
    return jsonify(body)


def _graph(sent: dict[str, Any]) -> dict[str, Any]:
    """The graph of a request.

    Raises:
        InvalidRequest: it has none, or several, or a field besides.
    """
    fields = validated(opened(sent, ConvertBody.model_fields).fields, ConvertBody)
    graphs = [each for each in (fields.workflow, fields.prompt) if each is not None]
    if len(graphs) != 1:
        state = "prompt and workflow both hold a graph" if graphs else "The request has no workflow"
        raise InvalidRequest(f'{state}; give one, as {{"workflow": {{"nodes": [...], ...}}}}.')
    return graphs[0]
