"""The workflows that make pictures larger, and which of them an upscaler's name means."""

from __future__ import annotations

from collections.abc import Iterator

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, UnknownWorkflow
from comfybridge.web.dialects.automatic1111.names import parameter_of
from comfybridge.web.dialects.automatic1111.server import models_of
from comfybridge.workflow.template import Template

NONE, LANCZOS, NEAREST = "None", "Lanczos", "Nearest"
# ComfyUI's names of the ways to scale pictures without a model (nodes.py: ImageScale)
METHODS = {"none": "lanczos", "lanczos": "lanczos", "nearest": "nearest-exact"}
METHOD = "upscale_method"
TASK = "upscale"


def with_method(bridge: Bridge, deadline: Deadline, owner: str | None) -> Template:
    """The workflow that scales without a model.

    Raises:
        UnknownWorkflow: there is none.
        ComfyUIUnreachable, ComfyUIError, TimedOut, BrokenWorkflow: it can't be read.
    """
    return _first(bridge, deadline, owner, METHOD)


def with_model(bridge: Bridge, deadline: Deadline, owner: str | None) -> Template:
    """The workflow that scales with a model; raises what `with_method` raises."""
    return _first(bridge, deadline, owner, "model")


def upscale_models(bridge: Bridge, deadline: Deadline, owner: str | None) -> list[str]:
    """The files of the models for it; none if there is no workflow for them.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut
    """
    try:
        template = with_model(bridge, deadline, owner)
    except UnknownWorkflow:
        return []
    return models_of(bridge, template, deadline)


def _first(bridge: Bridge, deadline: Deadline, owner: str | None, parameter: str) -> Template:
    for template in _upscaling(bridge, deadline, owner):
        if parameter_of(template, parameter) is not None:
            return template
    raise UnknownWorkflow(f"No workflow for the task {TASK} has a parameter {parameter}, which this upscaler needs.")


def _upscaling(bridge: Bridge, deadline: Deadline, owner: str | None) -> Iterator[Template]:
    """The workflows for the task, the one that is usual for it first."""
    usual = bridge.template_for("upscale", deadline, owner)
    yield usual
    rights = bridge.policies.of(owner)
    for name in bridge.library.names():
        if name == usual.name or (rights is not None and not rights.allows_workflow(name)):
            continue
        try:
            template = bridge.templates.get(name, deadline)
        except BridgeError:
            continue
        if TASK in template.tasks:
            yield template
