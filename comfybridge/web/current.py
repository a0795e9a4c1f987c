"""The bridge of the application that handles the current request."""

from __future__ import annotations

from flask import current_app

from comfybridge.bridge import Bridge

EXTENSION = "comfybridge"


def current_bridge() -> Bridge:
    """The bridge that `create_app` made."""
    bridge = current_app.extensions[EXTENSION]
    assert isinstance(bridge, Bridge)
    return bridge
