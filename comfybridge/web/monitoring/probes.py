"""`GET /health` and `GET /ready`, for monitoring, which knows neither the bridge's host name nor a key."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import Blueprint, Response, jsonify
from pydantic import Field
from typing_extensions import TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.deadline import Deadline
from comfybridge.errors import Busy, ComfyUIError, ComfyUIUnreachable, TimedOut
from comfybridge.web.current import current_bridge
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.marks import marked

blueprint = Blueprint("probes", __name__)

PROBE_SECONDS = 2.0


class HealthAnswer(TypedDict):
    """The process lives."""

    status: Literal["ok"]


class ReadyAnswer(TypedDict):
    """A request would be accepted."""

    status: Literal["ready"]
    queue_remaining: Annotated[int, Field(description="prompts that wait or run")]


@blueprint.get("/health")
@marked(is_open=True, is_quiet=True)
@describes(tag="Probes", answers=json_answer("It does.", HealthAnswer))
def health() -> Response:
    """The process lives."""
    body: HealthAnswer = {"status": "ok"}
    return jsonify(body)


@blueprint.get("/ready")
@marked(is_open=True, is_quiet=True)
@describes(
    tag="Probes",
    answers=json_answer("A request would be accepted.", ReadyAnswer),
    raises=(Busy, ComfyUIUnreachable),
)
def ready() -> Response:
    """Whether a request would be accepted: ComfyUI answers and a slot is free."""
    bridge = current_bridge()
    if not bridge.slots.has_free:
        raise bridge.slots.busy()
    try:
        answers = bridge.servers.answers(
            lambda server, patience: server.client.queue_length(patience), Deadline(PROBE_SECONDS)
        )
    except (ComfyUIError, TimedOut) as error:
        raise ComfyUIUnreachable(error.message, retry_after=5) from None
    body: ReadyAnswer = {"status": "ready", "queue_remaining": sum(length for _, length in answers)}
    return jsonify(body)
