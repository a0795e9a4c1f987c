"""Prompts under an id that is known beforehand, so that what ComfyUI says of them can be laid down."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock


def queued_as(prompt_id: str) -> AbstractContextManager[object]:
    """Have every request's prompt queued under that id."""
    return mock.patch("comfybridge.prompts.queueing.prompt_id_of", return_value=prompt_id)
