"""`GET /workflows` and `GET /workflows/NAME`: the templates and what each takes."""

from __future__ import annotations

import contextlib
from typing import Any

from flask import Blueprint, Response, jsonify

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.web.current import current_bridge

blueprint = Blueprint("workflows", __name__)

CHOICES_SECONDS = 2.0


@blueprint.get("/workflows")
def list_workflows() -> Response:
    """All templates, and which ones are broken and why."""
    library = current_bridge().library
    templates = [
        {"name": each.name, "description": each.description, "parameters": list(each.parameters)}
        for each in library.templates()
    ]
    return jsonify({"workflows": templates, "broken": library.broken()})


@blueprint.get("/workflows/<path:name>")
def show_workflow(name: str) -> Response:
    """One template, its parameters as a JSON Schema, with the choices that ComfyUI offers if it answers."""
    bridge = current_bridge()
    template = bridge.library.get(name)
    choices: dict[str, list[Any]] = {}
    with contextlib.suppress(BridgeError):  # the template can be read without a ComfyUI
        choices = bridge.choices(template, Deadline(CHOICES_SECONDS))
    return jsonify(
        {"name": template.name, "description": template.description, "parameters": template.schema(choices)}
    )
