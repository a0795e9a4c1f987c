"""`GET /health` and `GET /ready`, for whoever watches the process."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from comfybridge.deadline import Deadline
from comfybridge.errors import Busy, ComfyUIError, ComfyUIUnreachable, TimedOut
from comfybridge.web.current import current_bridge

blueprint = Blueprint("probes", __name__)

PROBE_SECONDS = 2.0


@blueprint.get("/health")
def health() -> Response:
    """The process lives."""
    return jsonify({"status": "ok"})


@blueprint.get("/ready")
def ready() -> Response:
    """ComfyUI answers and a slot is free; an error with status 503 else."""
    bridge = current_bridge()
    if not bridge.has_free_slot():
        raise Busy(f"All {bridge.settings.max_concurrent} slots of the bridge are taken.", retry_after=5)
    try:
        length = bridge.client.queue_length(Deadline(PROBE_SECONDS))
    except (ComfyUIError, TimedOut) as error:
        raise ComfyUIUnreachable(error.message, retry_after=5) from None
    return jsonify({"status": "ready", "queue_remaining": length})
