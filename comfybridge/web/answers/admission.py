"""The one way from a caller's HTTP request to a request that can be queued.

A view provides the request. Its owner, its arrival time and its idempotency key are added here, so no view can forget
them.
"""

from __future__ import annotations

from dataclasses import replace

from flask import g, request

from comfybridge.errors import NotAcceptable
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.repeats import fingerprint_of
from comfybridge.request import GenerationRequest, OutputOptions
from comfybridge.web.answers.negotiation import Wanted
from comfybridge.web.current import current_bridge, current_owner
from comfybridge.web.parsing.idempotency import idempotency_key


def admitted(asked: GenerationRequest, wanted: Wanted, *, has_previews: bool = False) -> Admitted:
    """Admit the request of the current HTTP request, with images in a format that the caller accepts.

    Args:
        has_previews: whether ComfyUI is to make previews although nobody follows the events.

    Raises:
        InvalidRequest: its `Idempotency-Key` or its timeout can't be used.
        NotAcceptable: as `as_accepted`.
        Forbidden, UnknownWorkflow, BrokenWorkflow: as `Bridge.admit`.
    """
    key = idempotency_key(request)
    if key is not None:
        asked = replace(asked, idempotency_key=key)
    fingerprint = fingerprint_of(asked)  # of the body only: a repeat may ask for another form of the answer
    options = as_accepted(asked.output, wanted)
    if options is not asked.output:
        asked = replace(asked, output=options)
    let_in = current_bridge().admit(
        asked,
        current_owner(),
        started=g.started,
        fingerprint=fingerprint,
        is_followed=wanted.form == "events",
        has_previews=has_previews,
    )
    g.trace = let_in.trace
    return let_in


def as_accepted(options: OutputOptions, wanted: Wanted) -> OutputOptions:
    """The options, with images converted to a format that the caller accepts if necessary.

    Raises:
        NotAcceptable: the caller accepts neither the requested format nor any other form of answer.
    """
    format = options.format
    if wanted.image is None:
        return options
    if format is None:
        return replace(options, format=wanted.image.format)
    if not wanted.takes(f"image/{format}") and not wanted.is_sure:
        raise NotAcceptable(
            f"output.format is {format}, and Accept ({wanted.accept.text[:200]!r}) does not allow it.",
            field="output.format",
        )
    return options
