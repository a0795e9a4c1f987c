"""What ComfyUI's servers offer: samplers, schedulers and models, of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from comfybridge.bridge import Bridge
from comfybridge.comfyui.catalog import FRESH_SECONDS, NodeClass
from comfybridge.comfyui.servers import Server
from comfybridge.deadline import Deadline
from comfybridge.web.dialects.automatic1111.names import parameter_of
from comfybridge.web.dialects.automatic1111.samplers import Offered
from comfybridge.workflow.template import Template

SAMPLER = "KSampler"
CHECKPOINTS = "checkpoints"


def offered(bridge: Bridge, deadline: Deadline) -> Offered:
    """The samplers and schedulers of ComfyUI's own sampler.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut
    """
    return Offered(
        choices(bridge, SAMPLER, "sampler_name", deadline), choices(bridge, SAMPLER, "scheduler", deadline)
    )


def models_of(bridge: Bridge, template: Template, deadline: Deadline) -> list[str]:
    """The files that a template's model can be chosen from; none if it can't be chosen, or no server says.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut
    """
    name = parameter_of(template, "model")
    if name is None:
        return []
    parameter = template.parameters[name]
    if parameter.choices is not None:
        return [each for each in parameter.choices if isinstance(each, str)]
    target = parameter.targets[0]
    return choices(bridge, template.graph[target.node]["class_type"], target.input, deadline)


def choices(bridge: Bridge, class_type: str, input_name: str, deadline: Deadline) -> list[str]:
    """What an input of a node class can be chosen from, on any server; the servers' answers are kept for a while.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut
    """
    answers = bridge.servers.answers(partial(_node_class, class_type), deadline)
    return _together(found.choices(input_name) or () for _, found in answers if found is not None)


def _node_class(class_type: str, server: Server, deadline: Deadline) -> NodeClass | None:
    return server.catalog.node_classes([class_type], deadline, max_age=FRESH_SECONDS).get(class_type)


def files(bridge: Bridge, folder: str, deadline: Deadline) -> list[str]:
    """The models in a folder, on any server; none if no server has such a folder.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut
    """
    answers = bridge.servers.answers(lambda server, patience: server.client.models(folder, patience), deadline)
    return _together(found or () for _, found in answers)


def _together(lists: Iterable[Sequence[object]]) -> list[str]:
    return list(dict.fromkeys(each for one in lists for each in one if isinstance(each, str)))
