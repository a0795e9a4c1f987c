"""A job that has ended, answered as `/generate` would have answered it."""

from __future__ import annotations

from dataclasses import replace

from flask import Response

from comfybridge.deadline import Deadline
from comfybridge.errors import Interrupted
from comfybridge.jobs.job import Result
from comfybridge.jobs.jobs import Jobs
from comfybridge.jobs.results import options_of, wants_first_image
from comfybridge.jobs.states import State
from comfybridge.request import Generation, OutputOptions
from comfybridge.web.answers.admission import as_accepted
from comfybridge.web.answers.answering import rendered
from comfybridge.web.answers.negotiation import Wanted
from comfybridge.web.answers.queued_jobs import followed
from comfybridge.web.answers.sending import Body, respond
from comfybridge.web.answers.streaming import last_events
from comfybridge.web.answers.style import EventStyle, Style
from comfybridge.web.current import request_deadline
from comfybridge.web.dialects.native.generation import style_of

Kind = tuple[bool, bool]  # whether an answer has the first image, and whether it has links


def job_result(jobs: Jobs, state: State, wanted: Wanted, index: int) -> Response:
    """The answer for a job that has ended.

    Raises:
        BridgeError: the error that it ended with; or its files can't be read.
    """
    result = _succeeded(state)
    options = accepted_options(options_of(result), wanted)
    generation = jobs.generation(result, options, request_deadline())
    style = style_of(with_first_image=wants_first_image(result), with_links=options.links)
    return finished(generation, wanted, index, style)


def job_events(jobs: Jobs, job_id: str) -> Response:
    """The events of a job.

    Raises:
        UnknownPrompt, Busy, EngineUnreachable
    """
    # in the context of the request, which is over when the last event is made
    styles: dict[Kind, EventStyle] = {
        (first, links): _events(style_of(with_first_image=first, with_links=links))
        for first in (False, True)
        for links in (False, True)
    }
    seconds = request_deadline().seconds

    def render(state: State) -> Body:
        result = _succeeded(state)
        options = options_of(result)
        generation = jobs.generation(result, options, Deadline(seconds))
        return styles[wants_first_image(result), options.links].result(generation)

    return followed(jobs, job_id, styles[False, False], render)


def finished(generation: Generation, wanted: Wanted, index: int, style: Style) -> Response:
    """The answer with the outputs of a prompt that has run."""
    if wanted.form == "events" and style.events is not None:  # only the last event remains
        return last_events(style.events.result(generation))
    return respond(rendered(generation, wanted, style, index))


def accepted_options(options: OutputOptions, wanted: Wanted) -> OutputOptions:
    """The options that came with a request, except for a format that this caller does not accept."""
    if wanted.image is not None and not wanted.takes(f"image/{options.format}"):
        options = replace(options, format=None)
    return as_accepted(options, wanted)


def _succeeded(state: State) -> Result:
    """The result of a job that succeeded.

    Raises:
        BridgeError: the error that it ended with.
    """
    error, result = state.error, state.result
    assert result is not None
    if error is not None:
        error.prompt_id = error.prompt_id or state.id
        raise error
    if state.status == "cancelled":
        raise Interrupted("The job was cancelled.", prompt_id=state.id)
    return result


def _events(style: Style) -> EventStyle:
    assert style.events is not None
    return style.events
