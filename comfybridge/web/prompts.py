"""`GET /results/ID`, `POST /cancel/ID` and `GET /queue`: prompts that are queued, running or finished."""

from __future__ import annotations

import json
from dataclasses import replace

from flask import Blueprint, Response, g, jsonify, request

from comfybridge.prompts import Finished, Unfinished
from comfybridge.request import Generation, GenerationRequest, OutputOptions
from comfybridge.web.answering import as_accepted, rendered, wanted_index
from comfybridge.web.current import current_bridge, request_deadline
from comfybridge.web.negotiation import Wanted, wanted_form
from comfybridge.web.rendering import generation_body

blueprint = Blueprint("prompts", __name__)


@blueprint.get("/results/<prompt_id>")
def result(prompt_id: str) -> Response:
    """What `/generate` answered, in the form that `Accept` names; 202 while the prompt is unfinished."""
    wanted, index, deadline = wanted_form(request), wanted_index(), request_deadline()
    prompts = current_bridge().prompts
    found = prompts.find(prompt_id, deadline)
    g.prompt_id = prompt_id
    if isinstance(found, Unfinished):
        return _unfinished(found)
    generation = prompts.collect(found, _output_options(found, wanted), deadline)
    return _finished(generation, wanted, index, with_first_image=found.record.with_image)


@blueprint.post("/cancel/<prompt_id>")
def cancel(prompt_id: str) -> Response:
    """Take a prompt out of the queue, or stop it."""
    was = current_bridge().prompts.cancel(prompt_id, request_deadline())
    g.prompt_id = prompt_id
    return jsonify({"prompt_id": prompt_id, "was": was})


@blueprint.get("/queue")
def show_queue() -> Response:
    """The ids of what runs and of what waits, whoever queued it, in the order in which they run."""
    bridge = current_bridge()
    queue = bridge.prompts.queue(request_deadline())
    server = bridge.client.address.url
    running = [{"prompt_id": each, "server": server} for each in queue.running]
    pending = [
        {"prompt_id": each, "position": position, "server": server} for position, each in enumerate(queue.pending, 1)
    ]
    return jsonify({"running": running, "pending": pending})


def _unfinished(found: Unfinished) -> Response:
    response = jsonify({"status": found.status, "prompt_id": found.prompt_id, "position": found.position})
    response.status_code = 202
    return response


def _output_options(found: Finished, wanted: Wanted) -> OutputOptions:
    """As they were asked for with the prompt, but for the format if it is this caller who accepts one only."""
    options = found.record.output
    if wanted.media_type is None:
        return options
    return as_accepted(GenerationRequest(output=replace(options, format=None)), wanted).output


def _finished(generation: Generation, wanted: Wanted, index: int, *, with_first_image: bool) -> Response:
    if wanted.form == "events":  # all is over but the last one
        body = json.dumps(generation_body(generation, with_first_image=with_first_image))
        return Response(f"event: result\ndata: {body}\n\n", content_type="text/event-stream")
    return rendered(generation, wanted, index, with_first_image=with_first_image)
