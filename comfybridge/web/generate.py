"""`POST /generate`: a workflow in, its picture out."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from comfybridge.web.answering import answer
from comfybridge.web.body import read_json
from comfybridge.web.current import current_bridge
from comfybridge.web.multipart import is_multipart, read_form
from comfybridge.web.schemas import parse_generation

blueprint = Blueprint("generate", __name__)


@blueprint.post("/generate")
def generate() -> Response:
    """Run a workflow and answer with what it made, in the form that `Accept` names."""
    bridge = current_bridge()
    settings = bridge.settings
    if is_multipart(request):
        form = read_form(request, settings.max_json_bytes, settings.max_upload_bytes)
        body, files = form.fields, form.files
    else:
        body, files = read_json(request, settings.max_json_bytes), []
    asked = parse_generation(body, g.started)
    asked.images += files
    keepalive = body.get("keepalive") or bridge.settings.keepalive
    return answer(bridge, asked, with_first_image=asked.wants_first_image, keepalive=keepalive)
