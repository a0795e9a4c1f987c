"""Runs several requests that came as one HTTP request, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from flask import g

from comfybridge.request import Generation, GenerationRequest
from comfybridge.web.answers.admission import admitted
from comfybridge.web.answers.hangups import Watch
from comfybridge.web.answers.negotiation import JSON_ONLY
from comfybridge.web.current import current_runner

Collected = TypeVar("Collected")


def run_one_by_one(
    requests: Iterable[GenerationRequest], collect: Callable[[Generation], Collected]
) -> list[Collected]:
    """Admit and run requests, each after the one before, within the time of the HTTP request.

    Each has a slot while it runs, and counts against the caller's rate.

    Args:
        collect: returns what is wanted of a generation.

    Raises:
        BridgeError: what went wrong with one of them; the others are not run.
    """
    runner, collected = current_runner(), []
    for each in requests:
        let_in = admitted(each, JSON_ONLY)
        with Watch(runner, let_in), runner.generating(let_in) as generation:
            g.prompt_id = generation.prompt_id
            collected.append(collect(generation))
    return collected
