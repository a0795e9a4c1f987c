"""What a dialect provides so that its requests can be answered: how it writes answers, errors and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.errors import BridgeError
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.request import Generation
from comfybridge.web.answers.sending import Body

Render = Callable[[Generation], Body]
# from an error and the id of the request
RenderError = Callable[[BridgeError, str], Mapping[str, Any]]


@dataclass(frozen=True)
class EventStyle:
    """How a dialect reports on a running prompt: as server-sent events, made with `events.frame`.

    Attributes:
        told: the events for a progress step; empty if the dialect has none for it.
        result: the events for a generation, which are the last ones.
        error: the events for an error.
    """

    told: Callable[[Queued | Progress | Preview], bytes]
    result: Render
    error: Callable[[BridgeError, str], bytes]


@dataclass(frozen=True)
class Style:
    """How a dialect writes its answers.

    Attributes:
        render: a generation as JSON, with a line break after it.
        render_error: the JSON of an error after an answer has begun; before that, the blueprint's `ErrorShape`
            applies.
        events: how it writes a stream of events; None if it offers none.
    """

    render: Render
    render_error: RenderError
    events: EventStyle | None = None
