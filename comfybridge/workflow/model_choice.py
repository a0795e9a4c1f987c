"""Chooses the model to run if the named one is not installed under that name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfybridge.errors import BridgeError, InvalidRequest, ModelMissing
from comfybridge.workflow.filling import Filled, report
from comfybridge.workflow.graph import set_input
from comfybridge.workflow.links import literal_value
from comfybridge.workflow.model_files import ModelFile, how_to_get
from comfybridge.workflow.parameters import Parameter, Target, offered
from comfybridge.workflow.wording import clip, listed

# The choices of an input of a node; None if it is not a choice, or the choices are unknown.
ChoicesOf = Callable[[Mapping[str, Any], str], "list[Any] | None"]

LONGEST_PATH = 260
# `folder\file`, but not `\(`, with which prompts escape parentheses; `folder/file.ending`, but not "a cat/dog"
_IN_FOLDER = re.compile(r"[^\n\r]*(\\\w|/[^\n\r]*\.[A-Za-z0-9]{1,11}$)[^\n\r]*")
# file inputs of loaders: ComfyUI does not list files in subfolders of its input folder
_NO_MODEL = re.compile(
    r"\.(png|jpe?g|webp|gif|bmp|tiff?|avif|mp4|m4v|webm|mkv|mov|avi|wav|mp3|flac|ogg|opus|m4a|glb)$", re.IGNORECASE
)


def spell_as_installed(filled: Filled, choices_of: ChoicesOf) -> None:
    r"""Rename each model to the server's spelling if its name differs only in slashes.

    A graph from Windows says `style\ink.safetensors` where others say `style/ink.safetensors`, and the other way
    round. Only values that can be paths are checked; names in the server's list stay.
    """
    spelled: dict[Target, str] = {}
    for node_id, node in filled.graph.items():
        for name, value in node["inputs"].items():
            if not isinstance(value, str) or not _may_be_in_folder(value):
                continue
            installed = offered(value, choices_of(node, name) or ())
            if installed is not None and installed != value:
                spelled[Target(node_id, name)] = installed
    for target, installed in spelled.items():
        set_input(filled.graph, target.node, target.input, installed)
    report(filled, spelled)


def _may_be_in_folder(value: str) -> bool:
    if "\\" not in value and "/" not in value:
        return False
    return len(value) <= LONGEST_PATH and _IN_FOLDER.fullmatch(value) is not None and not _NO_MODEL.search(value)


def settle_model(
    filled: Filled, parameter: Parameter, choices: Sequence[str], models: Sequence[ModelFile] = ()
) -> None:
    """Make a filled template use a model that the server has.

    A name that differs from an installed one only in its slashes becomes that one. A template's default that is not
    installed, where the caller named none, becomes the only installed one, with a warning.

    Args:
        parameter: the template's parameter for the model.
        choices: the models that the server has for it.
        models: where to download the template's models.

    Raises:
        InvalidRequest: the model that the caller named is not installed; lists those that are.
        ModelMissing: the template's own model is not installed, and no other one is an obvious replacement.
    """
    graph = filled.graph
    literals = [target for target in parameter.targets if isinstance(literal_value(graph, target), str)]
    wanted = list(dict.fromkeys(literal_value(graph, target) for target in literals))
    for name in wanted:
        chosen = offered(name, choices)
        if chosen is None:
            chosen = _stand_in(filled, parameter, name, choices, models)
        for target in literals:
            if literal_value(graph, target) == name:
                set_input(graph, target.node, target.input, chosen)
        if filled.params.get(parameter.name) == name:
            filled.params[parameter.name] = chosen


def _stand_in(
    filled: Filled, parameter: Parameter, name: str, choices: Sequence[str], models: Sequence[ModelFile]
) -> str:
    is_given = bool(
        filled.given & {parameter.name, *(f"{target.node}.{target.input}" for target in parameter.targets)}
    )
    missing = f"The workflow's model {clip(name)} is not installed in ComfyUI"
    kind: type[BridgeError] = ModelMissing
    if is_given:
        missing = f"{parameter.name} is '{clip(name)}', which is not installed in ComfyUI"
        kind = InvalidRequest
    remedy = how_to_get(name, parameter.targets[0].input, models)
    if not choices:
        raise kind(f"{missing}, nor is any other such model; {remedy}.", field=parameter.name)
    if is_given or len(choices) > 1:
        own = "" if is_given else f"{remedy}, or "
        said = f"{missing}; {own}give {parameter.name} as one of those that are: {listed(choices, name)}."
        raise kind(said, field=parameter.name)
    filled.warnings.append(
        f"The workflow's model {clip(name)} is not installed; {clip(choices[0])} was used instead."
    )
    return choices[0]
