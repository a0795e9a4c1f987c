"""Requests to `/generate` that are answered later: by `Prefer: respond-async`, or by a webhook as ComfyLite's are."""

from __future__ import annotations

from flask import Response, jsonify, request

from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.jobs import Jobs
from comfybridge.jobs.states import State, Wishes
from comfybridge.jobs.webhook_urls import check_webhook
from comfybridge.request import GenerationRequest
from comfybridge.web.answers.negotiation import Wanted
from comfybridge.web.answers.queued_jobs import queue_job, wait_for
from comfybridge.web.current import base_url, current_bridge, current_jobs
from comfybridge.web.describing import Answer
from comfybridge.web.dialects.native.job_bodies import AcceptedAnswer, accepted_body
from comfybridge.web.dialects.native.job_results import job_result
from comfybridge.web.parsing.prefer import APPLIED, Preference, applied, preference_of

ACCEPTED = Answer(
    "The job is on disk, and will run.",
    {"application/json": AcceptedAnswer},
    headers={
        "Location": "where to ask about it",
        "X-Prompt-Id": "its id",
        APPLIED: "the preferences that were heeded",
    },
    needs_jobs=True,
)


def answered_later(asked: GenerationRequest, wanted: Wanted, index: int) -> Response | None:
    """The answer to a request to `/generate` whose caller would rather have it later.

    Returns:
        None if it would not; or if there are no jobs, as a preference may be passed over.

    Raises:
        BridgeError: what is wrong with the request, or the error that its job ended with.
    """
    preference, jobs = preference_of(request), current_jobs()
    if not preference.is_later or jobs is None or wanted.form == "events":  # events begin at once anyway
        return None
    try:
        state = queue_job(asked, Wishes(base_url=base_url()))
    except EngineUnreachable:
        return None
    return accepted_or_ended(jobs, state, preference, wanted, index)


def accepted_or_ended(jobs: Jobs, state: State, preference: Preference, wanted: Wanted, index: int) -> Response:
    """The answer for a job that was just queued: its result if it ends while the caller likes to wait.

    Raises:
        BridgeError: the error that it ended with.
    """
    if preference.wait:
        state = wait_for(jobs, state, min(preference.wait, current_bridge().settings.max_timeout))
    if preference.wait and state.has_ended:
        response = job_result(jobs, state, wanted, index)
    else:
        body = accepted_body(state.id, state.status, base_url())
        response = jsonify(body)
        response.status_code = 202
        response.headers["Location"] = body["urls"]["self"]
    heeded = applied(preference)
    if heeded:
        response.headers[APPLIED] = heeded
    return response


def as_comfylite(asked: GenerationRequest, webhook_url: str) -> Response:
    """Queue a request of a caller that knows ComfyLite, whose result goes to a URL in ComfyLite's form.

    Raises:
        BridgeError: what is wrong with the request.
    """
    check_webhook(webhook_url, current_bridge().settings, field="webhook_url")
    state = queue_job(asked, Wishes(webhook=webhook_url, older_webhook=True, base_url=base_url()))
    return jsonify({"prompt_id": state.id})
