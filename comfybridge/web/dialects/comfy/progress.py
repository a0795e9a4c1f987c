"""The progress of a job as the Comfy API v2 has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.jobs.states import State
from comfybridge.prompts.progress import Progress
from comfybridge.web.dialects.comfy.errors import said_here


class ProgressBody(TypedDict):
    """How far a job is: all of it, also where it has not changed."""

    value: Annotated[float, Field(ge=0, le=1, description="of the whole workflow; falls only if a job begins anew")]
    nodes_done: Annotated[int, Field(description="cached nodes included")]
    nodes_total: int
    current_node: NotRequired[str | None]
    current_node_class: NotRequired[str | None]
    step: NotRequired[Annotated[int | None, Field(description="of the node that runs, if it counts steps")]]
    steps: NotRequired[int | None]
    message: NotRequired[Annotated[str | None, Field(description="what runs, or why nobody can run the job now")]]


def progress_of(state: State) -> ProgressBody | None:
    """How far a job is; None before its first step, unless something holds it up, and after its end."""
    if state.held_up is not None:
        return {"value": 0.0, "nodes_done": 0, "nodes_total": 0, "message": said_here(state.held_up)}
    return None if state.progress is None else progress_body(state.progress)


def progress_body(progress: Progress) -> ProgressBody:
    """The JSON of progress."""
    body: ProgressBody = {
        "value": round(progress.percent / 100, 4),
        "nodes_done": progress.nodes_done,
        "nodes_total": progress.nodes_total,
        "current_node": progress.node_id,
        "current_node_class": progress.class_type,
        "message": progress.class_type,
    }
    if progress.max > 1:  # any node counts from 0 to 1
        body["step"], body["steps"] = int(progress.value), int(progress.max)
        body["message"] = f"{progress.class_type} {body['step']}/{body['steps']}"
    return body
