"""Which model runs when a template's own is not the one that is installed."""

from __future__ import annotations

from collections.abc import Sequence

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.graph import set_input
from comfybridge.workflow.links import literal_value
from comfybridge.workflow.parameters import Parameter, offered
from comfybridge.workflow.template import Filled
from comfybridge.workflow.wording import clip, listed

# where ComfyUI looks for the file that an input names (folder_paths.py)
FOLDERS = {"ckpt_name": "checkpoints", "unet_name": "diffusion_models"}


def settle_model(filled: Filled, parameter: Parameter, choices: Sequence[str]) -> None:
    """Make a filled template use a model that the server has.

    A name that differs from an installed one only in its slashes becomes that one. A template's default that is not
    installed, where the caller named none, becomes the only installed one, with a warning.

    Args:
        parameter: the template's parameter for the model.
        choices: the models that the server has for it.

    Raises:
        InvalidRequest: the model is not installed and nothing can take its place without asking; lists what could.
    """
    graph = filled.graph
    literals = [target for target in parameter.targets if isinstance(literal_value(graph, target), str)]
    wanted = list(dict.fromkeys(literal_value(graph, target) for target in literals))
    for name in wanted:
        chosen = offered(name, choices)
        if chosen is None:
            chosen = _stand_in(filled, parameter, name, choices)
        for target in literals:
            if literal_value(graph, target) == name:
                set_input(graph, target.node, target.input, chosen)
        if filled.params.get(parameter.name) == name:
            filled.params[parameter.name] = chosen


def _stand_in(filled: Filled, parameter: Parameter, name: str, choices: Sequence[str]) -> str:
    keys = {parameter.name, *(f"{target.node}.{target.input}" for target in parameter.targets)}
    missing = f"{parameter.name} is '{clip(name)}', which is not installed in ComfyUI"
    if not choices:
        folder = FOLDERS.get(parameter.targets[0].input)
        where = f"its models folder {folder}" if folder else "the folder of its models"
        raise InvalidRequest(f"{missing}, nor is any other such model; put {clip(name)} into {where}.")
    if keys & filled.given or len(choices) > 1:
        raise InvalidRequest(f"{missing}; give {parameter.name} as one of those that are: {listed(choices, name)}.")
    filled.warnings.append(
        f"The workflow's model {clip(name)} is not installed; {clip(choices[0])} was used instead."
    )
    return choices[0]
