"""`GET /results/ID`, `POST /cancel/ID` and `GET /queue`: prompts that are queued, running or finished."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from flask import Response, g, jsonify, request
from pydantic import Field

from comfybridge.errors import ComfyUIError, ComfyUIUnreachable, TimedOut, UnknownPrompt
from comfybridge.prompts.known import Finished, Unfinished
from comfybridge.request import Generation, OutputOptions
from comfybridge.web.answers.admission import as_accepted
from comfybridge.web.answers.answering import rendered
from comfybridge.web.answers.negotiation import Wanted, wanted_form
from comfybridge.web.answers.sending import respond
from comfybridge.web.answers.streaming import last_events
from comfybridge.web.answers.style import Style
from comfybridge.web.current import current_bridge, request_deadline, whose_prompts
from comfybridge.web.describing import Variable, describes, json_answer
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import CancelledAnswer, QueueAnswer, UnfinishedAnswer
from comfybridge.web.dialects.native.generation import COLLECTING_ERRORS, GENERATION, INDEX, style_of, wanted_index

PROMPT_ID = Variable(
    "the prompt's id, from `X-Prompt-Id` or `prompt_id`", Annotated[str, Field(min_length=1, max_length=100)]
)
ASKING_ERRORS = (ComfyUIError, ComfyUIUnreachable, TimedOut)


@blueprint.get("/results/<prompt_id>")
@describes(
    tag="Prompts",
    path={"prompt_id": PROMPT_ID},
    query={"index": INDEX},
    answers={200: GENERATION, 202: json_answer("The prompt waits or runs.", UnfinishedAnswer)},
    raises=(*COLLECTING_ERRORS, UnknownPrompt),
)
def get_result(prompt_id: str) -> Response:
    """The answer of `/generate` for an earlier request.

    Works in any process of the bridge and after a restart, for as long as ComfyUI remembers the prompt.
    """
    wanted, index, deadline = wanted_form(request), wanted_index(), request_deadline()
    prompts = current_bridge().prompts
    found = prompts.find(prompt_id, deadline, whose_prompts())
    g.prompt_id = prompt_id
    if isinstance(found, Unfinished):
        return _unfinished(found)
    g.server = found.server.url
    generation = prompts.collect(found, _output_options(found, wanted), deadline)
    style = style_of(with_first_image=found.record.with_image, with_links=found.record.output.links)
    return _finished(generation, wanted, index, style)


@blueprint.post("/cancel/<prompt_id>")
@describes(
    tag="Prompts",
    path={"prompt_id": PROMPT_ID},
    answers=json_answer("The prompt is cancelled.", CancelledAnswer),
    raises=(*ASKING_ERRORS, UnknownPrompt),
)
def cancel_prompt(prompt_id: str) -> Response:
    """Take a prompt out of the queue, or stop it."""
    was = current_bridge().prompts.cancel(prompt_id, request_deadline(), whose_prompts())
    g.prompt_id = prompt_id
    body: CancelledAnswer = {"prompt_id": prompt_id, "was": was}
    return jsonify(body)


@blueprint.get("/queue")
@describes(tag="Prompts", answers=json_answer("The queue.", QueueAnswer), raises=ASKING_ERRORS)
def get_queue() -> Response:
    """The ids of the running and waiting prompts; with an API key, only its own.

    The position also counts the prompts of others.
    """
    queues = current_bridge().prompts.queues(request_deadline(), whose_prompts())
    body: QueueAnswer = {
        "running": [
            {"prompt_id": prompt_id, "server": queue.server.url} for queue in queues for prompt_id in queue.running
        ],
        "pending": [
            {"prompt_id": prompt_id, "position": position, "server": queue.server.url}
            for queue in queues
            for prompt_id, position in queue.pending
        ],
    }
    return jsonify(body)


def _unfinished(found: Unfinished) -> Response:
    body: UnfinishedAnswer = {"status": found.status, "prompt_id": found.prompt_id, "position": found.position}
    response = jsonify(body)
    response.status_code = 202
    return response


def _output_options(found: Finished, wanted: Wanted) -> OutputOptions:
    """The options that came with the prompt, except for a format that this caller does not accept."""
    options = found.record.output
    if wanted.image is not None and not wanted.takes(f"image/{options.format}"):
        options = replace(options, format=None)
    return as_accepted(options, wanted)


def _finished(generation: Generation, wanted: Wanted, index: int, style: Style) -> Response:
    if wanted.form == "events" and style.events is not None:  # only the last event remains
        return last_events(style.events.result(generation))
    return respond(rendered(generation, wanted, style, index))
