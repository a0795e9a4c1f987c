"""`POST /generate`: a workflow in, its picture out."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify, request

from comfybridge.web.body import read_json
from comfybridge.web.current import current_bridge
from comfybridge.web.rendering import generation_body
from comfybridge.web.schemas import parse_generation

blueprint = Blueprint("generate", __name__)


@blueprint.post("/generate")
def generate() -> Response:
    """Run a workflow and answer with what it made."""
    bridge = current_bridge()
    body = read_json(request, bridge.settings.max_json_bytes)
    with bridge.generating(parse_generation(body, g.started)) as generation:
        g.prompt_id = generation.prompt_id
        return jsonify(generation_body(generation, with_first_image=isinstance(body.get("prompt"), dict)))
