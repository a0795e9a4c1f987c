"""What the current request has to do with: its bridge and its time."""

from __future__ import annotations

from flask import current_app, g

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline

EXTENSION = "comfybridge"


def current_bridge() -> Bridge:
    """The bridge that `create_app` made."""
    bridge = current_app.extensions[EXTENSION]
    assert isinstance(bridge, Bridge)
    return bridge


def request_deadline() -> Deadline:
    """The configured time, counted from when the current request came in."""
    return Deadline(current_bridge().settings.timeout, g.started)
