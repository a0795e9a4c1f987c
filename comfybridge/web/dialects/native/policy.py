"""`GET /policy`: what the caller may request, for pages and programs that offer no more than that."""

from __future__ import annotations

from typing import Annotated

from flask import Response, jsonify
from pydantic import Field
from typing_extensions import TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge import __version__
from comfybridge.policy.policy import Policy
from comfybridge.prompts.several import MOST
from comfybridge.web.current import current_bridge, current_jobs, current_owner, current_rights, whose_prompts
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.marks import marked

Most = Annotated[int | None, Field(description="the largest number in a request; null if there is no limit")]
UNLIMITED = Policy()


class PolicyAnswer(TypedDict):
    """What the caller may request."""

    owner: Annotated[str | None, Field(description="the name of the caller's API key; null without keys")]
    needs_key: Annotated[bool, Field(description="whether this bridge requires an API key")]
    workflows: Annotated[list[str] | None, Field(description="the templates that it may use; null: all")]
    graphs: Annotated[bool, Field(description="whether it may bring whole graphs")]
    overrides: Annotated[bool, Field(description="whether it may set inputs by NODE.INPUT")]
    priority: Annotated[bool, Field(description="whether it may choose a place in the queue")]
    server_info: Annotated[bool, Field(description="whether it may see /models and /stats")]
    all_prompts: Annotated[bool, Field(description="whether it may see and cancel the prompts of others")]
    max_width: Most
    max_height: Most
    max_pixels: Most
    max_steps: Most
    max_batch_size: Most
    rate: Annotated[str | None, Field(description="how many requests it may make, such as 10/minute; null: any")]
    jobs: Annotated[bool, Field(description="whether this bridge accepts jobs")]
    webhooks: Annotated[bool, Field(description="whether its jobs may have webhooks")]
    max_n: Annotated[int, Field(description="how many prompts one request may ask for")]
    timeout: Annotated[float, Field(description="seconds for a request that gives no timeout")]
    max_timeout: Annotated[float, Field(description="the largest timeout that a request may give, in seconds")]
    max_json_bytes: Annotated[int, Field(description="the largest JSON body")]
    max_upload_bytes: Annotated[int, Field(description="the input files of one request together, in bytes")]
    version: Annotated[str, Field(description="of ComfyBridge")]


@blueprint.get("/policy")
@marked(is_quiet=True)
@describes(tag="Workflows", answers=json_answer("It.", PolicyAnswer))
def get_policy() -> Response:
    """What the caller may request, by its API key and the settings."""
    settings, rights = current_bridge().settings, current_rights()
    policy = UNLIMITED if rights is None else rights.policy
    has_jobs = current_jobs() is not None
    body: PolicyAnswer = {
        "owner": current_owner(),
        "needs_key": bool(settings.api_keys),
        "workflows": policy.workflows,
        "graphs": policy.takes_graphs,
        "overrides": policy.takes_overrides,
        "priority": policy.priority,
        "server_info": policy.server_info,
        "all_prompts": whose_prompts() is None,
        "max_width": policy.max_width,
        "max_height": policy.max_height,
        "max_pixels": policy.max_pixels,
        "max_steps": policy.max_steps,
        "max_batch_size": policy.max_batch_size,
        "rate": None if policy.rate is None else str(policy.rate),
        "jobs": has_jobs,
        "webhooks": has_jobs and policy.webhooks,
        "max_n": MOST if policy.max_batch_size is None else min(MOST, policy.max_batch_size),
        "timeout": settings.timeout,
        "max_timeout": settings.max_timeout,
        "max_json_bytes": settings.max_json_bytes,
        "max_upload_bytes": settings.max_upload_bytes,
        "version": __version__,
    }
    return jsonify(body)
