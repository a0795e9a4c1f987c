"""Runs a request and answers it in the form that the caller accepts and in the style of its dialect."""

from __future__ import annotations

import contextlib

from flask import Response, g

from comfybridge.errors import (
    BrokenWorkflow,
    Busy,
    ComfyUIError,
    ComfyUIUnreachable,
    ExecutionFailed,
    IdempotencyConflict,
    Interrupted,
    InvalidWorkflow,
    ModelMissing,
    NoOutput,
    NotAcceptable,
    PromptLost,
    RateLimited,
    ShuttingDown,
    TimedOut,
    TooLarge,
    UnknownWorkflow,
    UnsupportedMediaType,
)
from comfybridge.request import Generation, GenerationRequest
from comfybridge.web.answers.admission import admitted
from comfybridge.web.answers.files import file_content, zip_content
from comfybridge.web.answers.hangups import Watch
from comfybridge.web.answers.negotiation import Wanted
from comfybridge.web.answers.sending import Content, respond
from comfybridge.web.answers.streaming import event_stream, kept_alive_json
from comfybridge.web.answers.style import Style
from comfybridge.web.current import current_bridge, current_caller, current_jobs, current_runner

# The errors of a request that runs, for `describes`: beside those of its fields, which each dialect has of its own.
RUNNING_ERRORS = (
    InvalidWorkflow,
    BrokenWorkflow,
    ModelMissing,
    UnknownWorkflow,
    TooLarge,
    UnsupportedMediaType,
    Interrupted,
    ExecutionFailed,
    NoOutput,
    ComfyUIError,
    ComfyUIUnreachable,
    PromptLost,
    Busy,
    ShuttingDown,
    TimedOut,
    IdempotencyConflict,
    RateLimited,
)


def answer(
    asked: GenerationRequest,
    wanted: Wanted,
    style: Style,
    *,
    index: int = 0,
    keepalive: float | None = None,
    shows_progress: bool = False,
) -> Response:
    """Admit a request, run it, and answer.

    Args:
        wanted: the form of the answer, from `wanted_form`, or one that the dialect prescribes, such as `JSON_ONLY`.
        style: how the dialect writes it.
        index: which file, if the answer is a single one; counted from 0.
        keepalive: seconds between the spaces that keep a proxy awake, and before the first; None: the answer begins
            once it is complete.
        shows_progress: whether `Bridge.progress_of` tells its caller of it.

    Raises:
        BridgeError: what went wrong before the answer began.
    """
    bridge, runner = current_bridge(), current_runner()
    caller = current_caller() if shows_progress else None
    let_in = admitted(asked, wanted, has_previews=caller is not None and bridge.board.is_watched(caller))
    jobs = current_jobs()
    if jobs is not None:
        jobs.check_repeat(let_in)
    with contextlib.ExitStack() as held:
        if caller is not None:
            held.enter_context(bridge.board.showing(caller, let_in))
        if wanted.form == "events":
            return _until_closed(event_stream(runner, let_in, style), held)
        if wanted.form == "json" and keepalive is not None:
            return _until_closed(kept_alive_json(runner, let_in, style, keepalive), held)
        with Watch(runner, let_in):
            generation = held.enter_context(runner.generating(let_in))
        g.prompt_id = generation.prompt_id
        return respond(rendered(generation, wanted, style, index), held)


def _until_closed(response: Response, held: contextlib.ExitStack) -> Response:
    response.call_on_close(held.pop_all().close)
    return response


def rendered(generation: Generation, wanted: Wanted, style: Style, index: int) -> Content:
    """A finished generation in the form that the caller accepts, other than events.

    Raises:
        NotAcceptable: the caller accepts none of its forms.
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file could not be fetched.
    """
    refusals = []
    for each in (wanted, *wanted.others):
        try:
            return _in_form(generation, each, style, index)
        except NotAcceptable as refusal:
            refusals.append(refusal)
    raise refusals[0]


def _in_form(generation: Generation, wanted: Wanted, style: Style, index: int) -> Content:
    if wanted.form == "file":
        return file_content(generation, wanted, index)
    if wanted.form == "zip":
        return zip_content(generation)
    return Content(style.render(generation), "application/json")
