"""From a request to an answer of the form that the caller accepts."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from typing import Annotated, cast

from flask import Response, g, request
from pydantic import Discriminator, Field

from comfybridge.bridge import Bridge
from comfybridge.errors import (
    BridgeError,
    Busy,
    ComfyUIError,
    ComfyUIUnreachable,
    ExecutionFailed,
    Interrupted,
    InvalidRequest,
    NoOutput,
    NotAcceptable,
    TimedOut,
)
from comfybridge.request import Generation, GenerationRequest, Trace
from comfybridge.web.answers.files import file_response, zip_response
from comfybridge.web.answers.hangups import Watch
from comfybridge.web.answers.negotiation import Wanted, wanted_form
from comfybridge.web.answers.sending import respond
from comfybridge.web.answers.streaming import event_stream, kept_alive_json
from comfybridge.web.describing import BYTES, EVENTS, Answer, Variable
from comfybridge.web.dialects.native.bodies import ErrorAnswer, GenerationAnswer
from comfybridge.web.dialects.native.rendering import generation_json
from comfybridge.web.errors import error_body, forget_frames

# What every answer that is a generation has in common, for the document.
GENERATION = Answer(
    "What the workflow made, in the form that `Accept` names. JSON is an error (`status` tells) only where "
    "`keepalive` had it begin before the workflow had run. Of several forms that are liked as much the most specific "
    "one counts; what the workflow did not make gives way to the form that is liked next.",
    {
        "application/json": Annotated[GenerationAnswer | ErrorAnswer, Discriminator("status")],
        "image/*": BYTES,
        "video/*": BYTES,
        "audio/*": BYTES,
        "application/zip": BYTES,
        "text/event-stream": EVENTS,
    },
    headers={
        "X-Prompt-Id": "the id under which ComfyUI ran it",
        "X-Seed": "the seed that was used, where the answer is a file or a zip",
        "X-Warnings": "the warnings, as a JSON list, where the answer is a file or a zip and there are any",
        "Content-Disposition": "the name of the file or the zip, where the answer is one",
    },
)
INDEX = Variable(
    "which file, where the answer is one; counted from 0", Annotated[int, Field(ge=0, le=99_999)], default=0
)
COLLECTING_ERRORS = (
    InvalidRequest,
    NotAcceptable,
    Interrupted,
    ExecutionFailed,
    NoOutput,
    ComfyUIError,
    ComfyUIUnreachable,
    Busy,  # too many large images are being converted
    TimedOut,
)


def answer(bridge: Bridge, asked: GenerationRequest, *, with_first_image: bool, keepalive: float | None) -> Response:
    """Run what is asked for, and answer in the form that `Accept` names.

    Args:
        with_first_image: whether JSON also gives the first image as `image`.
        keepalive: seconds between the spaces that keep a proxy awake, and until the first of them; None: the answer
            begins when it is there.
    """
    wanted = wanted_form(request)
    index = wanted_index()
    generation_request = as_accepted(asked, wanted)
    g.trace = generation_request.trace
    render = partial(generation_json, with_first_image=with_first_image)
    if wanted.form == "events" or (wanted.form == "json" and keepalive is not None):
        render_error = partial(_noted_error, generation_request.trace, g.request_id)
        if wanted.form == "events":
            return event_stream(bridge, generation_request, render, render_error)
        return kept_alive_json(bridge, generation_request, render, render_error, cast(float, keepalive))
    with contextlib.ExitStack() as held:
        with Watch(bridge, generation_request):
            generation = held.enter_context(bridge.generating(generation_request))
        g.prompt_id = generation.prompt_id
        return rendered(generation, wanted, index, held, with_first_image=with_first_image)


def _noted_error(trace: Trace, request_id: str, error: BridgeError) -> ErrorAnswer:
    forget_frames(error)
    trace.error = error
    return error_body(error, request_id)


def rendered(
    generation: Generation, wanted: Wanted, index: int, held: contextlib.ExitStack, *, with_first_image: bool
) -> Response:
    """A finished generation in the form that the caller accepts, but for events.

    Args:
        held: what is to be kept until the answer has been sent; emptied if that takes longer than this call.

    Raises:
        NotAcceptable: it is nothing that the caller accepts.
    """
    refusals = []
    for each in (wanted, *wanted.others):
        try:
            return _in_form(generation, each, index, held, with_first_image=with_first_image)
        except NotAcceptable as refusal:
            refusals.append(refusal)
    raise refusals[0]


def _in_form(
    generation: Generation, wanted: Wanted, index: int, held: contextlib.ExitStack, *, with_first_image: bool
) -> Response:
    if wanted.form == "file":
        return file_response(generation, wanted, index, held)
    if wanted.form == "zip":
        return zip_response(generation, held)
    return respond(generation_json(generation, with_first_image=with_first_image), "application/json", held)


def wanted_index() -> int:
    """Which file `?index=` names; the first if it is not there.

    Raises:
        InvalidRequest: it is no whole number from 0 up.
    """
    text = request.args.get("index", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidRequest(f"index is {text[:40]!r}; it must be a whole number from 0 up.")
    return int(text)


def as_accepted(asked: GenerationRequest, wanted: Wanted) -> GenerationRequest:
    """The request, with images converted to a format that the caller accepts, where need be.

    Raises:
        NotAcceptable: the request asks for a format that the caller does not accept, nor any other form of answer.
    """
    format = asked.output.format
    if wanted.image is None:
        return asked
    if format is None:
        return replace(asked, output=replace(asked.output, format=wanted.image.format))
    if not wanted.takes(f"image/{format}") and not wanted.is_sure:
        raise NotAcceptable(
            f"output.format is {format}, and Accept ({wanted.accept.text[:200]!r}) does not allow it."
        )
    return asked
