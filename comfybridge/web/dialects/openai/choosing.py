"""Which template runs a request, by its `model`."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.errors import UnknownWorkflow
from comfybridge.tasks import Task
from comfybridge.workflow.template import Template

# Names of OpenAI's models, which clients send even if nobody chose one; a file's name is no such name.
OF_OPENAI = re.compile(r"(openai/)?((chatgpt|gpt)-image|dall-e)(-[a-z0-9.-]+)?(?<!\.safetensors)", re.IGNORECASE)
OF_DALL_E = re.compile(r"(openai/)?dall-e", re.IGNORECASE)


@dataclass(frozen=True)
class Chosen:
    """What runs a request.

    Attributes:
        model: the model's file, for a template that has another one; None: the template's own.
    """

    template: Template
    model: str | None = None


def choose(bridge: Bridge, model: str | None, task: Task, deadline: Deadline, owner: str | None) -> Chosen:
    """The template that a `model` names; else the template for a task, with that model unless it is one of OpenAI's.

    A template may have the name of one of OpenAI's models, to run in its place.

    Whether ComfyUI has the model shows when the request is queued.

    Args:
        owner: as `Bridge.admit` takes it.

    Raises:
        UnknownWorkflow: no template is for the task.
        BrokenWorkflow, ComfyUIUnreachable, ComfyUIError, TimedOut: the template can't be read.
    """
    if model:
        with suppress(UnknownWorkflow):
            return Chosen(bridge.templates.get(model, deadline))
    is_openais = not model or OF_OPENAI.fullmatch(model) is not None
    return Chosen(bridge.template_for(task, deadline, owner), None if is_openais else model)


def answers_with_links(model: str | None) -> bool:
    """Whether clients expect URLs from a model if they do not say what they want."""
    return bool(model) and OF_DALL_E.match(model or "") is not None
