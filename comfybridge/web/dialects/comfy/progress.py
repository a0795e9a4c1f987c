"""The progress of a job as the Comfy API v2 has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.jobs.states import State


class ProgressBody(TypedDict):
    """How far a job is."""

    value: Annotated[float, Field(ge=0, le=1)]
    nodes_done: int
    nodes_total: int
    current_node: NotRequired[str | None]
    current_node_class: NotRequired[str | None]
    step: NotRequired[int | None]
    steps: NotRequired[int | None]
    message: NotRequired[str | None]


def progress_of(state: State) -> ProgressBody | None:
    """How far a job is; None before its first step and after its end."""
    return None
