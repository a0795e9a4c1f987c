"""`/sdapi/v1/options`: the settings, of which each caller may choose the model."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, jsonify, request
from pydantic import Field
from typing_extensions import TypedDict

from comfybridge.errors import BridgeError
from comfybridge.web.current import current_bridge, current_caller, current_owner, request_deadline
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.automatic1111.blueprint import blueprint
from comfybridge.web.dialects.automatic1111.errors import Problem, UnknownChoice, Unprocessable
from comfybridge.web.dialects.automatic1111.models import installed
from comfybridge.web.dialects.automatic1111.requests import model_called
from comfybridge.web.dialects.automatic1111.server import models_of
from comfybridge.web.dialects.automatic1111.views import ASKING_ERRORS, BODY_ERRORS, TAG, chosen_models
from comfybridge.web.parsing.models import json_fields

MODEL = "sd_model_checkpoint"
LONGEST = 500


class OptionsAnswer(TypedDict):
    """The settings that programs read."""

    sd_model_checkpoint: Annotated[str, Field(description="the model for requests that name none")]
    sd_checkpoint_hash: str
    sd_vae: str
    CLIP_stop_at_last_layers: int
    samples_format: str
    eta_noise_seed_delta: int
    return_grid: bool


@blueprint.get("/options")
@describes(tag=TAG, answers=json_answer("The settings.", OptionsAnswer))
def get_options() -> Response:
    """The settings. ComfyUI is not asked, so this answers even if ComfyUI does not."""
    body: OptionsAnswer = {
        "sd_model_checkpoint": _model(),
        "sd_checkpoint_hash": "",
        "sd_vae": "Automatic",
        "CLIP_stop_at_last_layers": 1,
        "samples_format": "png",
        "eta_noise_seed_delta": 0,
        "return_grid": False,
    }
    return jsonify(body)


@blueprint.post("/options")
@describes(
    tag=TAG,
    body={"application/json": dict[str, Any]},
    answers=json_answer("Nothing.", None),
    raises=(*BODY_ERRORS, UnknownChoice, *ASKING_ERRORS),
)
def set_options() -> Response:
    """Choose the model (`sd_model_checkpoint`) for this caller's requests that name none.

    The caller is its API key, or else its address. Other settings are accepted, and have no effect.
    """
    wanted = json_fields(request, current_bridge().settings.max_json_bytes, f'{{"{MODEL}": "..."}}').get(MODEL)
    if wanted is not None and wanted != _model():
        if not isinstance(wanted, str) or len(wanted) > LONGEST:
            raise Unprocessable([Problem(MODEL, f"{MODEL} must be the name of a model.")])
        _choose(wanted)
    return jsonify(None)


def _choose(wanted: str) -> None:
    bridge, deadline = current_bridge(), request_deadline()
    template = bridge.template_for("txt2img", deadline, current_owner())
    own = None if template.model is None else template.model.default
    is_own = not wanted or (isinstance(own, str) and installed(wanted, [own]) is not None)
    model = "" if is_own else model_called(wanted, models_of(bridge, template, deadline))
    chosen_models().choose(current_caller(), model)


def _model() -> str:
    """The model for this caller's requests that name none; the workflow's name if its model is unknown."""
    chosen = chosen_models().of(current_caller())
    if chosen:
        return chosen
    try:
        template = current_bridge().template_for("txt2img", request_deadline(), current_owner())
    except BridgeError:  # this is what programs ask to see whether anything is there
        return ""
    own = None if template.model is None else template.model.default
    return own if isinstance(own, str) else template.name
