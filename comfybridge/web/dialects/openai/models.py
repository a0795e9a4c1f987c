"""`GET /v1/models` and `GET /v1/models/NAME`: the workflows, and the models for the default one."""

from __future__ import annotations

from typing import Annotated

from flask import Response, jsonify
from pydantic import Field

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, UnknownWorkflow
from comfybridge.web.current import current_bridge, current_owner, current_rights
from comfybridge.web.describing import Variable, describes, json_answer
from comfybridge.web.dialects.openai.answers import OpenAIModel, OpenAIModels, model_answer
from comfybridge.web.dialects.openai.blueprint import blueprint
from comfybridge.workflow.wording import clip, listed

NAME = Annotated[str, Field(min_length=1, max_length=200)]
SECONDS = 2.0  # for what ComfyUI says of its models


@blueprint.get("/models")
@describes(tag="OpenAI", answers=json_answer("They.", OpenAIModels))
def list_models() -> Response:
    """The workflows that the caller may use, and the models that the default one can run with."""
    body: OpenAIModels = {"object": "list", "data": [model_answer(name) for name in _names()]}
    return jsonify(body)


@blueprint.get("/models/<path:name>")
@describes(
    tag="OpenAI",
    path={"name": Variable("a workflow or a model", NAME)},
    answers=json_answer("It.", OpenAIModel),
    raises=(UnknownWorkflow,),
)
def get_model(name: str) -> Response:
    """One workflow or model."""
    names = _names()
    if name not in names:
        raise UnknownWorkflow(
            f"There is no workflow and no model {clip(name)!r}; there is {listed(names, name)}.", field="model"
        )
    return jsonify(model_answer(name))


def _names() -> list[str]:
    """The workflows first. Models are left out where ComfyUI does not answer, or the caller may not know them."""
    bridge, rights, deadline = current_bridge(), current_rights(), Deadline(SECONDS)
    allows = rights.allows_workflow if rights is not None else lambda _: True
    names = [each.name for each in bridge.templates.listing(deadline, allows).templates]
    try:
        if rights is not None:
            rights.check_server_info()
        template = bridge.template_for("txt2img", deadline, current_owner())
        parameter = template.parameters.get("model")
        if parameter is not None:
            names += map(str, bridge.offer(template, deadline).choices.get(parameter.name, ()))
    except BridgeError:
        pass
    return list(dict.fromkeys(names))
