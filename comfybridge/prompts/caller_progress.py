"""How far a caller's requests are, for interfaces that ask without naming a prompt."""

from __future__ import annotations

from dataclasses import dataclass

from comfybridge.prompts.progress import Preview


@dataclass(frozen=True)
class CallerProgress:
    """How far the requests are that a caller has under way, all together.

    Attributes:
        percent: of all their prompts, from 0 to 100.
        eta_seconds: the remaining time; None while it can't be estimated.
        step, steps: where the node that runs is, and the number of its steps; None if it counts none.
        prompt_id: the prompt that runs, or the next one to run; None before one is queued.
        started: when the first of the requests came in, as `time.time()`.
        job_no: how many of their prompts have ended.
        job_count: how many prompts they have in all.
        preview: the latest picture of the prompt that runs, if ComfyUI has sent any.
        is_queued: whether none of the prompts has begun to run.
    """

    percent: float
    eta_seconds: float | None
    step: int | None
    steps: int | None
    prompt_id: str | None
    started: float
    job_no: int
    job_count: int
    preview: Preview | None
    is_queued: bool
