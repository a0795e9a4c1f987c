"""The parameters of a template, for the errors about a request."""

from __future__ import annotations

from collections.abc import Collection

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.web.current import current_bridge

SECONDS = 2.0  # for what an error may say of a template


def parameters_of(workflow: str | None) -> Collection[str]:
    """The names of a template's parameters; empty if it can't be read, which another error reports."""
    bridge = current_bridge()
    try:
        return bridge.templates.get(workflow or bridge.settings.default_workflow, Deadline(SECONDS)).parameters
    except BridgeError:
        return ()
