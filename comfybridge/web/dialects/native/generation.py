"""How the bridge's own API answers with a generation, and the description of such answers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from flask import request
from pydantic import Discriminator, Field

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
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.web.answers.events import frame, framed
from comfybridge.web.answers.links import LinkTo, linker
from comfybridge.web.answers.style import EventStyle, Style
from comfybridge.web.describing import BYTES, Answer, EventTypes, Variable
from comfybridge.web.dialects.native.bodies import (
    ErrorAnswer,
    GenerationAnswer,
    PreviewEvent,
    ProgressEvent,
    QueuedEvent,
    error_body,
)
from comfybridge.web.dialects.native.rendering import generation_json

# The parts that all answers with a generation share, for the document.
GENERATION = Answer(
    "The outputs, in the form that `Accept` names. JSON contains an error (see `status`) only if `keepalive` made "
    "the answer begin before the workflow had run. Among forms with the same q, the most specific one wins; a form "
    "that does not fit the outputs gives way to the next.",
    {
        "application/json": Annotated[GenerationAnswer | ErrorAnswer, Discriminator("status")],
        "image/*": BYTES,
        "video/*": BYTES,
        "audio/*": BYTES,
        "application/zip": BYTES,
        "text/event-stream": EventTypes(
            {
                "queued": QueuedEvent,
                "progress": ProgressEvent,
                "preview": PreviewEvent,
                "result": GenerationAnswer,
                "error": ErrorAnswer,
            },
            "`result` or `error` is the last event. Lines that begin with a colon keep an idle stream open.",
        ),
    },
    headers={
        "X-Prompt-Id": "the id under which ComfyUI ran it",
        "X-Seed": "the seed used, if the answer is a file or a zip",
        "X-Warnings": "the warnings as a JSON list, if the answer is a file or a zip and there are any",
        "Content-Disposition": "the name of the file or the zip, if the answer is one",
    },
)
INDEX = Variable(
    "which file, if the answer is one; counted from 0", Annotated[int, Field(ge=0, le=99_999)], default=0
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


def wanted_index() -> int:
    """The file that `?index=` selects; the first if it is absent.

    Raises:
        InvalidRequest: it is not a whole number from 0 up.
    """
    text = request.args.get("index", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidRequest(f"index is {text[:40]!r}; it must be a whole number from 0 up.", field="index")
    return int(text)


def style_of(*, with_first_image: bool, with_links: bool) -> Style:
    """How the bridge's own API writes the answer to the current request.

    Args:
        with_first_image: whether JSON also gives the first image as `image`.
        with_links: whether JSON has links in place of the bytes of files.
    """
    return _style(with_first_image, linker()) if with_links else _STYLES[with_first_image]


def _told(heard: Queued | Progress | Preview) -> bytes:
    if isinstance(heard, Preview):
        data = base64.b64encode(heard.data).decode("ascii")
        return frame("preview", {"node_id": heard.node_id, "media_type": heard.media_type, "data": data})
    return frame("queued" if isinstance(heard, Queued) else "progress", _known(heard))


def _known(heard: Queued | Progress) -> Mapping[str, Any]:
    """The fields of an event, without those that are left out where they say nothing."""
    left_out = {"eta_seconds": None, "prompt_ids": ()}
    return {name: value for name, value in asdict(heard).items() if name not in left_out or value != left_out[name]}


def _error(error: BridgeError, request_id: str) -> bytes:
    return frame("error", error_body(error, request_id))


def _style(with_first_image: bool, link_to: LinkTo | None = None) -> Style:
    render = partial(generation_json, with_first_image=with_first_image, link_to=link_to)
    return Style(render, error_body, EventStyle(_told, lambda made: framed("result", render(made)), _error))


_STYLES = {with_first_image: _style(with_first_image) for with_first_image in (False, True)}
