"""What a template is for: as its owner says in `task` or `tasks`, or by its parameters and nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.tasks import TASKS, Task
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.masks import mask_form
from comfybridge.workflow.parameters import Parameter
from comfybridge.workflow.products import endings_of
from comfybridge.workflow.wording import describe, listed

__all__ = ["TASKS", "Task", "declared_tasks", "found_tasks"]

KEYS = ("task", "tasks")
PICTURES = frozenset(("png", "webp", "jpg", "jpeg", "exr"))
# parameters of what is no still picture
_MOVING = ("duration", "length", "fps")
# classes of nodes that change a picture by what the prompt tells them to do (comfy_extras, and ComfyUI's API nodes)
_EDITS = re.compile(
    r"ReferenceLatent|Kontext|InstructPixToPix|TextEncode\w*Edit|ImageEdit|GeminiImage|NanoBanana|GPTImage|Seedream|"
    r"Flux2\w+ImageNode"
)
# classes of nodes to which a picture shows a shape or a depth, rather than what to change
_CONTROLS = re.compile(r"ControlNet|Canny|Depth|Lineart|Pose")
_ENCODER = re.compile(r"VAEEncode")
_UPSCALES = re.compile(r"upscale|imagescaleby|supir|seedvr2", re.IGNORECASE)
_FURTHER_IMAGE = re.compile(r"image_[0-9]+")


def declared_tasks(content: Mapping[Any, Any], where: str) -> tuple[Task, ...]:
    """The tasks that a parameter file declares; empty if it declares none.

    Args:
        where: the file's name, for the message.

    Raises:
        InvalidWorkflow: one is not known.
    """
    given = [(key, content[key]) for key in KEYS if content.get(key) is not None]
    if len(given) > 1:
        raise InvalidWorkflow(f"{where} has both task and tasks; keep one of them.")
    found: list[Task] = []
    for key, value in given:
        for each in value if isinstance(value, list) else [value]:
            task = next((task for task in TASKS if task == each), None)
            if task is None:
                raise InvalidWorkflow(f"{where}: {key} has {describe(each)}; tasks are {listed(TASKS, each)}.")
            found.append(task)
    return tuple(dict.fromkeys(found))


def found_tasks(name: str, graph: Graph, parameters: Mapping[str, Parameter]) -> tuple[Task, ...]:
    """The tasks that the parameters and nodes of a template show; else the one that it is named after, if any."""
    named = tuple(task for task in TASKS if task == name)
    makes = endings_of(graph)
    if makes is not None and PICTURES.isdisjoint(makes):
        return ()
    return _of_parameters(graph, parameters) or named


def _of_parameters(graph: Graph, parameters: Mapping[str, Parameter]) -> tuple[Task, ...]:
    files = {each.name for each in parameters.values() if each.is_file}
    has_others = any(each.type in ("video", "audio") for each in parameters.values())
    if has_others or not parameters.keys().isdisjoint(_MOVING):
        return ()
    has_prompt = "prompt" in parameters
    if not files:
        return ("txt2img",) if has_prompt else ()
    is_edit = has_prompt and _has(graph, _EDITS)
    further = files - {"image", "mask"}
    if "image" not in files or (further and not (is_edit and all(map(_FURTHER_IMAGE.fullmatch, further)))):
        return ()  # such as a picture for a ControlNet, which a task's caller does not have
    if not has_prompt:
        return ("upscale",) if _has(graph, _UPSCALES) else ()
    has_mask = mask_form(graph, parameters) is not None
    if not has_mask and _has(graph, _CONTROLS) and (is_edit or not _has(graph, _ENCODER)):
        return ()
    found: list[Task] = ["edit"] if is_edit else []
    if has_mask:
        found.append("inpaint")
    return tuple(found) or ("img2img",)


def _has(graph: Graph, classes: re.Pattern[str]) -> bool:
    return any(classes.search(node["class_type"]) for node in graph.values())
