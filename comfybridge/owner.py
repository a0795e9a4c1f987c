"""Whose a prompt is, as the bridge notes it beside the prompt in ComfyUI's queue and history."""

from __future__ import annotations

from collections.abc import Mapping

KEY = "comfybridge"  # of the bridge's own part of a prompt's `extra_data`


def owner_of(extra_data: object) -> str | None:
    """The name of the API key that a prompt was queued with, if it was queued with one."""
    note = extra_data.get(KEY) if isinstance(extra_data, Mapping) else None
    owner = note.get("owner") if isinstance(note, Mapping) else None
    return owner if isinstance(owner, str) else None
