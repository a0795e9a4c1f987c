"""The JSON bodies of the answers, as types: mypy holds the views to them, and the document is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic reads typing's own from Python 3.12 on only

from comfybridge.errors import BridgeError
from comfybridge.prompts.known import Status
from comfybridge.request import Kind

Seconds = Annotated[float | None, Field(description="seconds; null where ComfyUI did not tell")]
PromptId = Annotated[str, Field(description="the id under which ComfyUI runs it")]
ServerUrl = Annotated[str, Field(description="the ComfyUI's URL")]


class OutputAnswer(TypedDict):
    """One thing that a workflow made: a file, an image sent over the websocket, or a text."""

    node_id: Annotated[str, Field(description="the node of the graph that it comes from")]
    kind: Kind
    filename: Annotated[str, Field(description="as ComfyUI named it, made fit for a file name; empty for a text")]
    subfolder: Annotated[str, Field(description="the folder it lies in, below ComfyUI's folder of that type")]
    type: Annotated[str, Field(description="output, temp (a preview), input or websocket; empty for a text")]
    media_type: Annotated[str, Field(description="such as image/png")]
    width: Annotated[int | None, Field(description="pixels; null for what is no image")]
    height: Annotated[int | None, Field(description="pixels; null for what is no image")]
    bytes: Annotated[int, Field(description="the file's size")]
    index: Annotated[int | None, Field(description="its place in images; null for what is no image")]
    data: NotRequired[Annotated[str, Field(description="base64, of what is neither image nor text")]]
    text: NotRequired[Annotated[str, Field(description="the text, if it is one")]]


class TimingsAnswer(TypedDict):
    """Where the time went."""

    queued: Seconds
    executing: Seconds
    total: Annotated[float | None, Field(description="seconds until the answer started")]


class GenerationAnswer(TypedDict):
    """What a workflow made."""

    status: Literal["success"]
    prompt_id: PromptId
    images: Annotated[list[str], Field(description="base64")]
    outputs: Annotated[list[OutputAnswer], Field(description="all that the workflow made, in the graph's order")]
    seed: Annotated[int | None, Field(description="the seed that was used, if the graph has one")]
    params: Annotated[dict[str, Any], Field(description="the parameters that were used")]
    warnings: Annotated[list[str], Field(description="what the caller should know, though nothing failed")]
    timings: TimingsAnswer
    image: NotRequired[Annotated[str, Field(description="the first image, if a whole graph came in prompt")]]


class ErrorAnswer(TypedDict):
    """What went wrong. No field ever holds a traceback or a path of the server."""

    status: Literal["error"]
    type: Annotated[str, Field(description="the stable name that programs branch on")]
    error: Annotated[str, Field(description="one sentence for people")]
    prompt_id: NotRequired[PromptId]
    node: NotRequired[
        Annotated[
            dict[str, Any],
            Field(description="the node that failed: id, class_type, exception_type and exception_message"),
        ]
    ]
    node_errors: NotRequired[Annotated[dict[str, Any], Field(description="ComfyUI's own, if it refused the graph")]]
    request_id: Annotated[str, Field(description="the same as in X-Request-Id, for finding it in the log")]


def error_body(error: BridgeError, request_id: str) -> ErrorAnswer:
    """The JSON of an error; fields that it has nothing to say of are left out."""
    body: ErrorAnswer = {
        "status": "error",
        "type": error.type,
        "error": error.message,
        "prompt_id": error.prompt_id or "",
        "node": error.node or {},
        "node_errors": error.node_errors or {},
        "request_id": request_id,
    }
    return cast(ErrorAnswer, {name: value for name, value in body.items() if value})


class QueuedEvent(TypedDict):
    """The first event of a stream: ComfyUI has the prompt. It comes again where another one takes its place."""

    prompt_id: PromptId
    position: Annotated[
        int | None,
        Field(description="its place among those that wait, from 1; 0 if it runs; null if that is unknown"),
    ]
    eta_seconds: NotRequired[
        Annotated[
            float,
            Field(description="seconds that it will wait and run; absent if none like it ran on that server yet"),
        ]
    ]


class ProgressEvent(TypedDict):
    """An event of a stream: a step forward."""

    percent: Annotated[float, Field(description="of the whole prompt; never falls, and is 100 at its end only")]
    node_id: Annotated[str, Field(description="the node that is at it")]
    class_type: Annotated[str, Field(description="that node's class")]
    value: Annotated[float, Field(description="its step")]
    max: Annotated[float, Field(description="of how many")]
    eta_seconds: NotRequired[
        Annotated[
            float,
            Field(
                description="seconds that ComfyUI will still be at it, as such nodes took before on that server, and "
                "as the steps of this run take; absent while neither is known"
            ),
        ]
    ]


class PreviewEvent(TypedDict):
    """An event of a stream: what a node has so far."""

    node_id: Annotated[str, Field(description="the node that is at it")]
    media_type: Annotated[str, Field(description="such as image/jpeg")]
    data: Annotated[str, Field(description="base64")]


class UnfinishedAnswer(TypedDict):
    """A prompt that waits or runs."""

    status: Status
    prompt_id: PromptId
    position: Annotated[int, Field(description="its place among those that wait, from 1; 0 if it runs")]


class CancelledAnswer(TypedDict):
    """What a prompt was doing until it was cancelled."""

    prompt_id: PromptId
    was: Status


class RunningAnswer(TypedDict):
    """A prompt that runs."""

    prompt_id: PromptId
    server: ServerUrl


class PendingAnswer(TypedDict):
    """A prompt that waits."""

    prompt_id: PromptId
    position: Annotated[int, Field(description="from 1")]
    server: ServerUrl


class QueueAnswer(TypedDict):
    """What runs and what waits, whoever queued it."""

    running: list[RunningAnswer]
    pending: Annotated[list[PendingAnswer], Field(description="in the order in which they will run")]


class WorkflowSummary(TypedDict):
    """A template."""

    name: str
    description: str
    parameters: Annotated[list[str], Field(description="their names")]
    makes: Annotated[
        list[str] | None,
        Field(description="the endings of the files that it can make, such as png; null: a node of it may make any"),
    ]


class BrokenWorkflow(TypedDict):
    """A template that can't be used."""

    name: str
    error: Annotated[str, Field(description="one sentence that says why")]


class WorkflowsAnswer(TypedDict):
    """All templates."""

    default: Annotated[str | None, Field(description="the template for requests that name none, if it is there")]
    workflows: list[WorkflowSummary]
    broken: list[BrokenWorkflow]


class ModelAnswer(TypedDict):
    """A model that a template needs."""

    name: Annotated[str, Field(description="as the graph names it")]
    directory: Annotated[str, Field(description="the folder below ComfyUI's models; empty if it is not told")]
    url: Annotated[str, Field(description="where it can be had; empty if it is not public")]


class WorkflowAnswer(TypedDict):
    """One template."""

    name: str
    description: str
    parameters: Annotated[dict[str, Any], Field(description="a JSON Schema, with defaults, ranges and choices")]
    unclear: Annotated[dict[str, str], Field(description="by name, why the graph has no such parameter")]
    models: Annotated[list[ModelAnswer], Field(description="those that it needs, as far as its owner says")]


class ServerAnswer(TypedDict):
    """One ComfyUI. What it does not tell is not there; sizes are in bytes."""

    server: ServerUrl
    reachable: bool
    in_flight: Annotated[int, Field(description="requests of this process that are under way there")]
    queue_remaining: Annotated[int | None, Field(description="prompts that wait or run there; null if unknown")]
    mean_seconds: Annotated[float | None, Field(description="what the last prompts took; null if none was measured")]
    system: dict[str, Any]
    devices: list[dict[str, Any]]


class StatsAnswer(TypedDict):
    """The servers behind the bridge."""

    servers: list[ServerAnswer]
