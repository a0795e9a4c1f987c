"""The JSON of outputs, as types and from the states of jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.jobs.states import State

OutputType = Literal["image", "video", "audio", "text", "file", "latent"]


class OutputBody(TypedDict):
    """A file or a text that a job has made."""

    node_id: Annotated[str, Field(description="the node that made it")]
    name: str
    type: OutputType
    content_type: str
    size_bytes: int
    id: Annotated[str, Field(description="its id as an asset")]
    hash: Annotated[str | None, Field(description="`blake3:HEX`; null if unknown")]
    url: Annotated[str, Field(description="GET: its content")]
    url_expires_at: str
    job_id: NotRequired[str | None]


def outputs_of(state: State) -> list[OutputBody]:
    """The outputs that a job has made so far."""
    return []
