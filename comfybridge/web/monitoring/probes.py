"""`GET /health` and `GET /ready`, for whoever watches the process."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from comfybridge.deadline import Deadline
from comfybridge.errors import Busy, ComfyUIError, ComfyUIUnreachable, TimedOut
from comfybridge.web.current import current_bridge
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.native.bodies import HealthAnswer, ReadyAnswer

blueprint = Blueprint("probes", __name__)

PROBE_SECONDS = 2.0


@blueprint.get("/health")
@describes(tag="Probes", answers=json_answer("It does.", HealthAnswer), is_open=True)
def health() -> Response:
    """The process lives."""
    body: HealthAnswer = {"status": "ok"}
    return jsonify(body)


@blueprint.get("/ready")
@describes(
    tag="Probes",
    answers=json_answer("It would be taken.", ReadyAnswer),
    raises=(Busy, ComfyUIUnreachable),
    is_open=True,
)
def ready() -> Response:
    """Whether a request would be taken: ComfyUI answers and a slot is free."""
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
