"""`GET /results/ID`, `POST /cancel/ID` and `GET /queue`: prompts that are queued, running or finished."""

from __future__ import annotations

from typing import Annotated

from flask import Response, g, jsonify, request
from pydantic import Field

from comfybridge.errors import ComfyUIError, ComfyUIUnreachable, TimedOut, UnknownPrompt
from comfybridge.jobs.states import State
from comfybridge.prompts.known import FinishedAlready, Unfinished
from comfybridge.web.answers.negotiation import wanted_form
from comfybridge.web.current import current_bridge, current_jobs, request_deadline, whose_prompts
from comfybridge.web.describing import Variable, describes, json_answer
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import CancelledAnswer, QueueAnswer, UnfinishedAnswer
from comfybridge.web.dialects.native.generation import COLLECTING_ERRORS, GENERATION, INDEX, style_of, wanted_index
from comfybridge.web.dialects.native.job_results import accepted_options, finished, job_result

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

    Works in any process of the bridge and after a restart, for as long as ComfyUI remembers the prompt; of a job, for
    as long as its result is kept.
    """
    wanted, index, deadline = wanted_form(request), wanted_index(), request_deadline()
    jobs, job = current_jobs(), _job(prompt_id)
    if jobs is not None and job is not None:
        g.prompt_id = prompt_id
        return job_result(jobs, job, wanted, index) if job.has_ended else _unfinished(_as_prompt(job))
    prompts = current_bridge().prompts
    found = prompts.find(prompt_id, deadline, whose_prompts())
    g.prompt_id = prompt_id
    if isinstance(found, Unfinished):
        return _unfinished(found)
    g.server = found.server.url
    generation = prompts.collect(found, accepted_options(found.record.output, wanted), deadline)
    style = style_of(with_first_image=found.record.with_image, with_links=found.record.output.links)
    return finished(generation, wanted, index, style)


@blueprint.post("/cancel/<prompt_id>")
@describes(
    tag="Prompts",
    path={"prompt_id": PROMPT_ID},
    answers=json_answer("The prompt is cancelled.", CancelledAnswer),
    raises=(*ASKING_ERRORS, UnknownPrompt),
)
def cancel_prompt(prompt_id: str) -> Response:
    """Take a prompt out of the queue, or stop it."""
    jobs, job = current_jobs(), _job(prompt_id)
    if jobs is not None and job is not None:
        _, after = jobs.cancel(prompt_id, whose_prompts())
        if after.has_ended and (job.has_ended or after.status != "cancelled"):
            raise FinishedAlready("The job has ended; there is nothing to cancel.", prompt_id=prompt_id)
        was = _as_prompt(job).status
    else:
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
    jobs = current_jobs()
    waiting = [] if jobs is None else jobs.waiting(whose_prompts())
    if waiting:
        body["jobs"] = [{"prompt_id": each.id, "position": each.position or 0} for each in waiting]
    return jsonify(body)


def _job(prompt_id: str) -> State | None:
    """The job of that id, if there is one that the caller may see. Where no jobs were queued, nobody is asked."""
    jobs = current_jobs()
    return None if jobs is None else jobs.known(prompt_id, whose_prompts())


def _as_prompt(job: State) -> Unfinished:
    """A job that waits or runs as a prompt that does."""
    return Unfinished(job.id, "pending" if job.status == "queued" else "running", job.position or 0)


def _unfinished(found: Unfinished) -> Response:
    body: UnfinishedAnswer = {"status": found.status, "prompt_id": found.prompt_id, "position": found.position}
    response = jsonify(body)
    response.status_code = 202
    return response
