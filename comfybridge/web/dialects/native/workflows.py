"""`GET /workflows` and `GET /workflows/NAME`: the templates and their parameters."""

from __future__ import annotations

import contextlib
from typing import Annotated

from flask import Response, jsonify
from pydantic import Field

from comfybridge.deadline import Deadline
from comfybridge.errors import (
    BridgeError,
    BrokenWorkflow,
    ComfyUIError,
    ComfyUIUnreachable,
    TimedOut,
    UnknownWorkflow,
)
from comfybridge.prompts.inventory import Inventory, needs
from comfybridge.web.current import current_bridge, current_rights, request_deadline
from comfybridge.web.describing import Variable, describes, json_answer
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import ModelAnswer, WorkflowAnswer, WorkflowsAnswer
from comfybridge.workflow.offer import Offer
from comfybridge.workflow.products import endings_of

NAME = Annotated[str, Field(min_length=1, max_length=200)]
CHOICES_SECONDS = 2.0


@blueprint.get("/workflows")
@describes(tag="Workflows", answers=json_answer("The templates.", WorkflowsAnswer))
def list_workflows() -> Response:
    """All templates that the caller may use, and which ones are broken and why."""
    bridge, rights = current_bridge(), current_rights()
    wanted = rights.allows_workflow if rights is not None else lambda _: True
    listing = bridge.templates.listing(Deadline(CHOICES_SECONDS), wanted)
    default = bridge.settings.default_workflow
    body: WorkflowsAnswer = {
        "default": default if any(each.name == default for each in listing.templates) else None,
        "workflows": [
            {
                "name": each.name,
                "description": each.description,
                "parameters": list(each.parameters),
                "tasks": list(each.tasks),
                "makes": endings_of(each.graph),
            }
            for each in listing.templates
        ],
        "broken": [{"name": each["name"], "error": each["error"]} for each in listing.broken],
        "unread": [{"name": each["name"], "error": each["error"]} for each in listing.unread],
    }
    return jsonify(body)


@blueprint.get("/workflows/<path:name>")
@describes(
    tag="Workflows",
    path={"name": Variable("the template's name", NAME)},
    answers=json_answer("The template's parameters.", WorkflowAnswer),
    raises=(UnknownWorkflow, BrokenWorkflow, ComfyUIUnreachable, ComfyUIError, TimedOut),
)
def get_workflow(name: str) -> Response:
    """One template, its parameters as a JSON Schema, with the choices that ComfyUI offers if it answers."""
    bridge, rights = current_bridge(), current_rights()
    if rights is not None:
        rights.check_workflow(name)
    template = bridge.templates.get(name, request_deadline())
    offer, needed = Offer(template), needs(template)
    with contextlib.suppress(BridgeError):  # the template can be read without a ComfyUI
        offer = bridge.offer(template, Deadline(CHOICES_SECONDS))
        needed = bridge.inventory(template, Deadline(CHOICES_SECONDS))
    body: WorkflowAnswer = {
        "name": template.name,
        "description": template.description,
        "parameters": offer.template.schema(offer.choices, offer.limits),
        "tasks": list(offer.template.tasks),
        "presets": {
            choice: {value: dict(params) for value, params in values.items()}
            for choice, values in template.presets.items()
        },
        "unclear": offer.template.unclear,
        "models": models_json(needed),
        "missing_nodes": needed.missing_nodes,
        "mask": offer.template.mask_form(),
    }
    return jsonify(body)


def models_json(needed: Inventory) -> list[ModelAnswer]:
    """The models that a workflow needs."""
    return [
        {
            "name": each.file.name,
            "directory": each.file.directory,
            "url": each.file.url,
            "installed": each.is_installed,
            "used_instead": each.used_instead,
        }
        for each in needed.models
    ]
