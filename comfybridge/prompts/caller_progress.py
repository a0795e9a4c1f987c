"""How far a caller's requests are, for interfaces that ask without naming a prompt.

Nothing is computed until somebody asks: listeners know anyway what the events of their prompts have shown so far.
Each process tells of its own requests as `RequestProgress`, and `together` makes one answer of that.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from comfybridge.comfyui.outcome import SoFar
from comfybridge.prompts.expectations import expected_seconds
from comfybridge.prompts.progress import Preview, ProgressMeter
from comfybridge.prompts.submission import Submission


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


@dataclass(frozen=True)
class PromptProgress:
    """How far one prompt is that waits or runs.

    Attributes:
        server: the URL of its ComfyUI.
        has_begun: whether it runs.
        preview: the latest picture, as its node, its media type, and base64.
    """

    prompt_id: str
    server: str
    has_begun: bool
    percent: float
    eta_seconds: float | None
    step: int | None = None
    steps: int | None = None
    preview: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class RequestProgress:
    """How far one request is.

    Attributes:
        started: when it came in, as `time.time()`.
        count: how many prompts it runs.
        ended: how many of them have ended.
        prompts: those that wait or run, in their order.
    """

    started: float
    count: int
    ended: int
    prompts: Sequence[PromptProgress]

    def to_json(self) -> dict[str, Any]:
        """In values that JSON has."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> RequestProgress:
        """From the values of `to_json`."""
        return cls(**{**told, "prompts": [PromptProgress(**each) for each in told["prompts"]]})


def progress_of_prompt(submission: Submission, meter: ProgressMeter, *, with_preview: bool) -> PromptProgress:
    """How far a prompt is.

    Args:
        meter: the prompt's own, which keeps the percentage from falling between two calls.
        with_preview: whether its preview is wanted.
    """
    so_far = submission.listener.so_far
    prompt_id, server = submission.prompt.id, submission.server
    told = None if so_far is None else meter.catch_up(so_far)
    if so_far is None or told is None:
        eta = expected_seconds(server.node_times, submission.prompt.graph)
        return PromptProgress(prompt_id, server.url, so_far is not None and so_far.has_begun, 0.0, eta)
    counts = told.max > 0
    return PromptProgress(
        prompt_id,
        server.url,
        True,
        told.percent,
        told.eta_seconds,
        int(told.value) if counts else None,
        int(told.max) if counts else None,
        _preview(so_far) if with_preview else None,
    )


def together(requests: Iterable[RequestProgress]) -> CallerProgress | None:
    """How far requests are, all together; None if there are none."""
    known = sorted(requests, key=lambda each: each.started)
    if not known:
        return None
    prompts = [prompt for each in known for prompt in each.prompts]
    count, ended = sum(each.count for each in known), sum(each.ended for each in known)
    running = [prompt for prompt in prompts if prompt.has_begun]
    shown = next(iter([*running, *prompts]), None)
    percent = (100.0 * ended + sum(prompt.percent for prompt in prompts)) / count
    preview = None
    if shown is not None and shown.preview is not None:
        node, media_type, data = shown.preview
        preview = Preview(node, media_type, base64.b64decode(data))
    return CallerProgress(
        percent=round(min(percent, 100.0), 1),
        eta_seconds=_seconds_left(prompts),
        step=None if shown is None else shown.step,
        steps=None if shown is None else shown.steps,
        prompt_id=None if shown is None else shown.prompt_id,
        started=known[0].started,
        job_no=ended,
        job_count=count,
        preview=preview,
        is_queued=not running and not ended,
    )


def _seconds_left(prompts: Iterable[PromptProgress]) -> float | None:
    """How long it takes until the last server is done with them; None if too little is known."""
    left: dict[str, float] = {}
    for each in prompts:
        if each.eta_seconds is None:
            return None
        left[each.server] = left.get(each.server, 0.0) + each.eta_seconds
    return round(max(left.values()), 1) if left else None


def _preview(so_far: SoFar) -> tuple[str, str, str] | None:
    image = so_far.preview
    if image is None or image.node is None:
        return None
    return image.node, image.media_type, base64.b64encode(image.data).decode("ascii")
