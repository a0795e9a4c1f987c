"""`POST /generate`: a workflow in, its picture out."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from comfybridge.web.answering import answer
from comfybridge.web.body import read_json
from comfybridge.web.current import current_bridge
from comfybridge.web.schemas import parse_generation

blueprint = Blueprint("generate", __name__)


@blueprint.post("/generate")
def generate() -> Response:
    """Run a workflow and answer with what it made, in the form that `Accept` names."""
    bridge = current_bridge()
    body = read_json(request, bridge.settings.max_json_bytes)
    asked = parse_generation(body, g.started)
    keepalive = body.get("keepalive") or bridge.settings.keepalive
    return answer(bridge, asked, with_first_image=isinstance(body.get("prompt"), dict), keepalive=keepalive)
