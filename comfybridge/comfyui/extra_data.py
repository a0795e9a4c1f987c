"""The bridge's own note beside a prompt, in the `extra_data` that ComfyUI keeps in its queue and its history.

It is a text that contains JSON: ComfyUI makes deep copies of prompts, of each when it begins to run and of all
waiting ones whenever someone reads its queue (`PromptQueue` in its execution.py), and copying a text takes a seventh
of the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

KEY = "comfybridge"


def with_note(extra_data: Mapping[str, Any], note: Mapping[str, Any]) -> dict[str, Any]:
    """The `extra_data` with a note, which replaces any existing one."""
    return {**extra_data, KEY: json.dumps(note, separators=(",", ":"))}


def with_workflow(extra_data: Mapping[str, Any], file: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The `extra_data` with the editor's file as its workflow, which ComfyUI's savers embed in their files.

    An existing workflow is kept.
    """
    info = extra_data.get("extra_pnginfo") or {}
    if file is None or "workflow" in info:
        return extra_data
    return {**extra_data, "extra_pnginfo": {**info, "workflow": file}}


def note_of(extra_data: object) -> Mapping[str, Any]:
    """The note in a prompt's `extra_data`; empty if there is none. Any client of ComfyUI may have written it."""
    note = extra_data.get(KEY) if isinstance(extra_data, Mapping) else None
    if isinstance(note, str):
        try:
            note = json.loads(note)
        except (ValueError, RecursionError):
            return {}
    return note if isinstance(note, Mapping) else {}  # earlier versions of the bridge wrote an object


def owner_of(extra_data: object) -> str | None:
    """The name of the API key that a prompt was queued with, if it was queued with one."""
    note = extra_data.get(KEY) if isinstance(extra_data, Mapping) else None
    if isinstance(note, str) and '"owner":"' not in note:  # parsing each of thousands would take long
        return None
    owner = note_of(extra_data).get("owner")
    return owner if isinstance(owner, str) else None
