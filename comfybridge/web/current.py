"""The context of the current request: its bridge, its deadline and its caller."""

from __future__ import annotations

from flask import current_app, g

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.policy.policies import Rights

EXTENSION = "comfybridge"


def current_bridge() -> Bridge:
    """The bridge that `create_app` made."""
    bridge = current_app.extensions[EXTENSION]
    assert isinstance(bridge, Bridge)
    return bridge


def request_deadline() -> Deadline:
    """The configured time, counted from when the current request came in."""
    return Deadline(current_bridge().settings.timeout, g.started)


def current_owner() -> str | None:
    """The name of the caller's API key; None if no key is required."""
    owner: str | None = g.get("owner")
    return owner


def current_rights() -> Rights | None:
    """What the caller may do; None: anything."""
    return current_bridge().policies.of(current_owner())


def whose_prompts() -> str | None:
    """The owner whose prompts the caller may see and cancel; None: all owners."""
    rights = current_rights()
    return None if rights is not None and rights.policy.all_prompts else current_owner()


def check_server_info() -> None:
    """Refuse information about the servers to a caller who may not have it.

    Raises:
        Forbidden
    """
    rights = current_rights()
    if rights is not None:
        rights.check_server_info()
