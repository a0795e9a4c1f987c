"""What the views of this API have in common."""

from __future__ import annotations

from typing import TypeVar

from flask import g, request
from pydantic import BaseModel

from comfybridge.deadline import Deadline
from comfybridge.errors import (
    ComfyUIError,
    ComfyUIUnreachable,
    TimedOut,
    TooLarge,
    UnsupportedMediaType,
)
from comfybridge.tasks import Task
from comfybridge.web.answers.answering import RUNNING_ERRORS
from comfybridge.web.current import current_bridge, current_caller, current_owner, current_rights
from comfybridge.web.dialects.automatic1111.chosen_models import ChosenModels
from comfybridge.web.dialects.automatic1111.errors import TEMPLATE, UnknownChoice, Unprocessable, validated
from comfybridge.web.dialects.automatic1111.fields import GenerationBody
from comfybridge.web.dialects.automatic1111.requests import Known, named_model
from comfybridge.web.dialects.automatic1111.server import models_of, offered
from comfybridge.web.parsing.models import json_fields
from comfybridge.workflow.template import Template

TAG = "AUTOMATIC1111"
Model = TypeVar("Model", bound=BaseModel)

# The errors of bodies, of questions to ComfyUI, and of pictures to make.
BODY_ERRORS = (Unprocessable, TooLarge, UnsupportedMediaType)
ASKING_ERRORS = (ComfyUIError, ComfyUIUnreachable, TimedOut)
PICTURE_ERRORS = (Unprocessable, UnknownChoice, *RUNNING_ERRORS)


def read_body(model: type[Model]) -> Model:
    """The body of the current request; raises the errors of bodies."""
    return validated(json_fields(request, current_bridge().settings.max_json_bytes), model)


def chosen_models() -> ChosenModels:
    """What callers have chosen."""
    bridge = current_bridge()
    return ChosenModels(bridge.state, [server.url for server in bridge.servers.all])


def template_for(task: Task, body: GenerationBody, deadline: Deadline) -> tuple[Template, Known]:
    """The template for a request, and what else is known when the request is read.

    It is the one for the task, unless the request names another as its model, as programs do that list the models
    of a bridge in another of its APIs.

    Raises:
        UnknownWorkflow, BrokenWorkflow, ComfyUIUnreachable, ComfyUIError, TimedOut: as `Bridge.template_for`.
    """
    bridge = current_bridge()
    named = _named_template(task, named_model(body), deadline)
    template = named or bridge.template_for(task, deadline, current_owner())
    setattr(g, TEMPLATE, template)
    return template, Known(
        lambda: offered(bridge, deadline),
        lambda: models_of(bridge, template, deadline),
        chosen_models().of(current_caller()),
        is_named=named is not None,
    )


def _named_template(task: Task, name: str | None, deadline: Deadline) -> Template | None:
    bridge, rights = current_bridge(), current_rights()
    if (
        name is None
        or name not in bridge.library.names()
        or (rights is not None and not rights.allows_workflow(name))
    ):
        return None
    template = bridge.templates.get(name, deadline)
    return template if task in template.tasks else None


def may_ask_servers() -> bool:
    """Whether the caller may know what the servers have."""
    rights = current_rights()
    return rights is None or rights.policy.server_info
