"""The jobs of the Comfy API v2, and its health."""

from __future__ import annotations

from typing import Literal

from flask import Response, jsonify
from typing_extensions import TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.comfy.blueprint import blueprint
from comfybridge.web.marks import marked

TAG = "Comfy API v2"


class HealthAnswer(TypedDict):
    """The bridge answers."""

    status: Literal["healthy"]


@blueprint.get("/health")
@marked(is_open=True, is_quiet=True)
@describes(tag=TAG, answers=json_answer("It does.", HealthAnswer))
def health() -> Response:
    """The bridge answers."""
    body: HealthAnswer = {"status": "healthy"}
    return jsonify(body)
