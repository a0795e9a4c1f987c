"""Chooses the previews that ComfyUI makes for a prompt: its `preview_method`, in `extra_data`.

ComfyUI respects it since about 0.13 (`set_preview_method` in its latent_preview.py); older versions follow their
command line. A preview costs the server little, but a picture has to be sent for each step.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError

KEY = "preview_method"
NO_PREVIEWS = "none"
# It needs no further model. (`taesd` is finer, and falls back to this if its models are missing.)
ANY_PREVIEWS = "auto"
AS_STARTED = "default"

OPTION = "--preview-method"
# A server may be restarted with another command line.
FRESH_SECONDS = 300.0
ASK_SECONDS = 2.0


class Previews:
    """The preview methods for one server. Safe to share between threads: at worst two of them make the same call."""

    def __init__(self, client: ComfyUIClient) -> None:
        self._client = client
        self._asked_at = float("-inf")
        self._method = ANY_PREVIEWS

    def method(self, deadline: Deadline) -> str:
        """The method for a prompt whose previews are shown: the one in the server's command line, if any."""
        now = time.monotonic()
        if now - self._asked_at >= FRESH_SECONDS:
            self._asked_at = now
            self._method = ANY_PREVIEWS
            with contextlib.suppress(BridgeError):  # an error here is no reason not to queue the prompt
                patience = Deadline(min(ASK_SECONDS, deadline.remaining()))
                if _makes_previews(self._client.command_line(patience)):
                    self._method = AS_STARTED
        return self._method


def _makes_previews(command_line: Sequence[str]) -> bool:
    """Whether a ComfyUI started with these arguments makes previews for all prompts."""
    chosen = NO_PREVIEWS
    for place, each in enumerate(command_line):
        if each == OPTION and place + 1 < len(command_line):
            chosen = command_line[place + 1]
        elif each.startswith(f"{OPTION}="):
            chosen = each.partition("=")[2]
    return chosen != NO_PREVIEWS
