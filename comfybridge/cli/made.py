"""What both ways of `comfybridge generate` return, and the sentences that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from comfybridge.prompts.progress import Progress

CANCEL_SECONDS = 2.0  # the user who pressed Ctrl-C waits for it

ShowProgress = Callable[[Progress], None]


@dataclass
class Made:
    """The outputs of a workflow, in files under these names."""

    names: list[str]
    seed: int | None
    warnings: list[str]


def not_cancelled(prompt_id: str, why: str) -> str:
    return f"Prompt {prompt_id} could not be cancelled: {why}"


def gone(prompt_id: str) -> str:
    return f"Prompt {prompt_id} has run, but not all of its outputs can be fetched again."
