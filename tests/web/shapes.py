"""A second dialect, as small as one can be: a body, an answer, errors and events of its own, and keys by Basic.

It imports nothing of the bridge's own dialect, and says nothing of owners: that is the point of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from comfybridge.errors import BridgeError
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.request import Generation, GenerationRequest
from comfybridge.web.access.key_places import BASIC
from comfybridge.web.answers.answering import answer
from comfybridge.web.answers.events import frame
from comfybridge.web.answers.negotiation import JSON_ONLY, Wanted
from comfybridge.web.answers.style import EventStyle, Style
from comfybridge.web.current import current_bridge, current_caller
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.dialect import Dialect
from comfybridge.web.errors import ErrorShape
from comfybridge.web.parsing.models import json_fields, validated

blueprint = Blueprint("shapes", __name__, url_prefix="/shapes/v1")

# -- its request ---------------------------------------------------------------------------------------------------


class ShapeBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    side: int = Field(64, ge=16, le=512)
    stream: bool = False
    steps: int = 2
    count: int = 1
    seed: int = -1


def _asked(body: ShapeBody) -> GenerationRequest:
    params = {"prompt": body.text, "width": body.side, "height": body.side, "steps": body.steps, "seed": body.seed}
    return GenerationRequest("txt2img", params=params, n=body.count)


# -- its answer ----------------------------------------------------------------------------------------------------


class Shapes(TypedDict):
    made: list[str]


class ShapeError(TypedDict):
    wrong: dict[str, str]


def _render(generation: Generation) -> bytes:
    return json.dumps(_shapes(generation)).encode() + b"\n"


def _shapes(generation: Generation) -> Shapes:
    return {"made": [base64.b64encode(each.read()).decode() for each in generation.images]}


def _error(error: BridgeError, request_id: str) -> ShapeError:
    return {"wrong": {"what": error.message, "code": error.type, "request": request_id}}


def _advice(error: BridgeError) -> Mapping[str, str]:
    return {"X-Shapes-Advice": "draw something else"} if error.status < 500 else {}


def _told(heard: Queued | Progress | Preview) -> bytes:
    return frame("shapes.step", {"percent": heard.percent}) if isinstance(heard, Progress) else b""


STYLE = Style(
    _render,
    _error,
    EventStyle(
        _told,
        lambda generation: frame("shapes.done", _shapes(generation)),
        lambda error, request_id: frame("shapes.failed", _error(error, request_id)),
    ),
)

# -- its routes ----------------------------------------------------------------------------------------------------


@blueprint.post("/draw")
@describes(tag="Shapes", body={"application/json": ShapeBody}, answers=json_answer("The shapes.", Shapes))
def draw() -> Response:
    """Draw a shape."""
    body = validated(json_fields(request, current_bridge().settings.max_json_bytes), ShapeBody)
    return answer(_asked(body), Wanted("events") if body.stream else JSON_ONLY, STYLE, shows_progress=True)


class HowFar(TypedDict):
    progress: dict[str, Any] | None


@blueprint.get("/how-far")
@describes(tag="Shapes", answers=json_answer("How far the caller's shapes are.", HowFar))
def how_far() -> Response:
    """How far the caller's shapes are."""
    told = current_bridge().progress_of(current_caller())
    if told is None:
        return jsonify({"progress": None})
    preview = told.preview
    shown = None if preview is None else base64.b64encode(preview.data).decode()
    return jsonify({"progress": {**vars(told), "preview": shown}})


class Ended(TypedDict):
    ended: int


@blueprint.post("/end")
@describes(tag="Shapes", answers=json_answer("How many drawings were ended.", Ended))
def end() -> Response:
    """End the caller's drawings."""
    return jsonify({"ended": current_bridge().interrupt(current_caller())})


@blueprint.post("/break")
def fail() -> Response:
    """A bug."""
    raise ZeroDivisionError("the secret of the house")


SHAPES = Dialect(blueprint, ErrorShape(_error, ShapeError, _advice), (BASIC,), paths=("/shapes/",))
