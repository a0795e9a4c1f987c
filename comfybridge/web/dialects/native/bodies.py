"""The JSON bodies of the answers, as types: mypy checks views against them, and the document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.errors import BridgeError
from comfybridge.prompts.known import Status
from comfybridge.request import Kind
from comfybridge.tasks import Task
from comfybridge.workflow.masks import MaskForm

Seconds = Annotated[float | None, Field(description="seconds; null if ComfyUI did not report it")]
PromptId = Annotated[str, Field(description="the id under which ComfyUI runs it")]
ServerUrl = Annotated[str, Field(description="the URL of the ComfyUI")]


class OutputAnswer(TypedDict):
    """One output of a workflow: a file, an image sent over the websocket, or a text."""

    node_id: Annotated[str, Field(description="the node of the graph that made it")]
    kind: Kind
    filename: Annotated[
        str, Field(description="ComfyUI's name for it, changed where it is not a valid file name; empty for a text")
    ]
    subfolder: Annotated[str, Field(description="its folder, below ComfyUI's folder of that type")]
    type: Annotated[str, Field(description="output, temp (a preview), input or websocket; empty for a text")]
    media_type: Annotated[str, Field(description="such as image/png")]
    width: Annotated[int | None, Field(description="pixels; null for outputs other than images")]
    height: Annotated[int | None, Field(description="pixels; null for outputs other than images")]
    bytes: Annotated[int | None, Field(description="the file's size; null for a link to a file not yet converted")]
    index: Annotated[
        int | None, Field(description="its place in images; null for outputs other than images, and with links")
    ]
    prompt_id: NotRequired[Annotated[str, Field(description="the prompt that made it, if n asked for several")]]
    data: NotRequired[Annotated[str, Field(description="base64, of outputs that are neither images nor texts")]]
    url: NotRequired[
        Annotated[str, Field(description="in place of the bytes, if output.links is true; valid for 60 minutes")]
    ]
    text: NotRequired[Annotated[str, Field(description="the text, if it is one")]]


class TimingsAnswer(TypedDict):
    """Where the time went."""

    queued: Seconds
    executing: Seconds
    total: Annotated[float | None, Field(description="seconds until the answer started")]


class GenerationAnswer(TypedDict):
    """The outputs of a workflow."""

    status: Literal["success"]
    prompt_id: PromptId
    images: Annotated[list[str], Field(description="base64; empty if output.links is true")]
    outputs: Annotated[list[OutputAnswer], Field(description="all outputs of the workflow, in the graph's order")]
    seed: Annotated[int | None, Field(description="the seed used, if the graph has one")]
    params: Annotated[dict[str, Any], Field(description="the parameters used")]
    warnings: Annotated[list[str], Field(description="what the caller should know although nothing failed")]
    timings: TimingsAnswer
    seeds: NotRequired[
        Annotated[list[int | None], Field(description="the seed of each prompt, if n asked for several")]
    ]
    prompt_ids: NotRequired[Annotated[list[str], Field(description="the ids of these prompts")]]
    image: NotRequired[Annotated[str, Field(description="the first image, if a whole graph came in prompt")]]


class ErrorAnswer(TypedDict):
    """An error. No field ever contains a traceback or a path of the server."""

    status: Literal["error"]
    type: Annotated[str, Field(description="a stable name for programs")]
    error: Annotated[str, Field(description="one sentence for people")]
    field: NotRequired[
        Annotated[str, Field(description="the field of the request, or the parameter, that is wrong, if it is one")]
    ]
    prompt_id: NotRequired[PromptId]
    node: NotRequired[
        Annotated[
            dict[str, Any],
            Field(description="the node that failed: id, class_type, exception_type and exception_message"),
        ]
    ]
    node_errors: NotRequired[
        Annotated[dict[str, Any], Field(description="ComfyUI's own node_errors, if it refused the graph")]
    ]
    request_id: Annotated[str, Field(description="as in X-Request-Id, to find the request in the log")]


def error_body(error: BridgeError, request_id: str) -> ErrorAnswer:
    """The JSON of an error; empty fields are left out."""
    body: ErrorAnswer = {
        "status": "error",
        "type": error.type,
        "error": error.message,
        "field": error.field or "",
        "prompt_id": error.prompt_id or "",
        "node": error.node or {},
        "node_errors": error.node_errors or {},
        "request_id": request_id,
    }
    return cast(ErrorAnswer, {name: value for name, value in body.items() if value})


class QueuedEvent(TypedDict):
    """The first event of a stream: the prompt is queued. It is sent again if another prompt takes its place."""

    prompt_id: PromptId
    position: Annotated[
        int | None,
        Field(description="its place among the waiting prompts, from 1; 0 if it runs; null if unknown"),
    ]
    eta_seconds: NotRequired[
        Annotated[
            float,
            Field(description="seconds until it finishes; absent if no prompt like it has run on that server"),
        ]
    ]
    prompt_ids: NotRequired[
        Annotated[
            list[str], Field(description="the ids of all prompts, if n asked for several; the first is prompt_id")
        ]
    ]


class ProgressEvent(TypedDict):
    """An event of a stream: a step forward."""

    percent: Annotated[float, Field(description="of the whole prompt; never falls, and reaches 100 only at the end")]
    node_id: Annotated[str, Field(description="the node that runs")]
    class_type: Annotated[str, Field(description="that node's class")]
    value: Annotated[float, Field(description="its step")]
    max: Annotated[float, Field(description="its number of steps")]
    eta_seconds: NotRequired[
        Annotated[
            float,
            Field(
                description="seconds that ComfyUI still needs, estimated from earlier runs of such nodes on that "
                "server and from the steps of this run; absent while neither is known"
            ),
        ]
    ]
    nodes_done: Annotated[int, Field(description="how many nodes are done, cached ones included")]
    nodes_total: Annotated[int, Field(description="how many nodes the workflow has")]


class PreviewEvent(TypedDict):
    """An event of a stream: the present state of a picture."""

    node_id: Annotated[str, Field(description="the node that runs")]
    media_type: Annotated[str, Field(description="such as image/jpeg")]
    data: Annotated[str, Field(description="base64")]


class UnfinishedAnswer(TypedDict):
    """A prompt that waits or runs."""

    status: Status
    prompt_id: PromptId
    position: Annotated[int, Field(description="its place among the waiting prompts, from 1; 0 if it runs")]


class CancelledAnswer(TypedDict):
    """The state of a prompt until it was cancelled."""

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


class WaitingJobAnswer(TypedDict):
    """A job that no ComfyUI has yet."""

    prompt_id: PromptId
    position: Annotated[int, Field(description="from 1, among the waiting jobs of all callers")]


class QueueAnswer(TypedDict):
    """The running and waiting prompts, from any client."""

    running: list[RunningAnswer]
    pending: Annotated[list[PendingAnswer], Field(description="in the order in which they will run")]
    jobs: NotRequired[
        Annotated[list[WaitingJobAnswer], Field(description="jobs that wait for a ComfyUI, if there are any")]
    ]


class WorkflowSummary(TypedDict):
    """A template."""

    name: str
    description: str
    parameters: Annotated[list[str], Field(description="their names")]
    tasks: Annotated[list[Task], Field(description="what it is for; empty if that is unknown")]
    makes: Annotated[
        list[str] | None,
        Field(description="the endings of the files that it can make, such as png; null if a node may make any"),
    ]


class BrokenWorkflow(TypedDict):
    """A template that cannot be used."""

    name: str
    error: Annotated[str, Field(description="one sentence that says why")]


class WorkflowsAnswer(TypedDict):
    """All templates."""

    default: Annotated[str | None, Field(description="the template for requests that name none, if it exists")]
    workflows: list[WorkflowSummary]
    broken: list[BrokenWorkflow]
    unread: Annotated[
        list[BrokenWorkflow], Field(description="those that the editor saved, while no ComfyUI tells of their nodes")
    ]


class ModelAnswer(TypedDict):
    """A model that a template needs."""

    name: Annotated[str, Field(description="as the graph names it")]
    directory: Annotated[str, Field(description="the folder below ComfyUI's models; empty if unknown")]
    url: Annotated[str, Field(description="where to download it; empty if unknown")]
    installed: Annotated[bool | None, Field(description="whether ComfyUI has it; null if it does not tell")]
    used_instead: Annotated[
        str | None,
        Field(description="the only such model that is installed, which is used if a request names none; else null"),
    ]


Mask = Annotated[
    MaskForm | None,
    Field(
        description="what marks the part to repaint in the file of the parameter mask: pixels that are transparent "
        "(alpha) or not (opaque), have much of red, green or blue, or are black; in_image: transparent pixels of the "
        "image itself; null if it takes no mask"
    ),
]
MissingNodes = Annotated[
    list[str] | None, Field(description="the node classes that ComfyUI lacks; null if it does not answer")
]


class WorkflowAnswer(TypedDict):
    """One template."""

    name: str
    description: str
    parameters: Annotated[dict[str, Any], Field(description="a JSON Schema, with defaults, ranges and choices")]
    tasks: Annotated[list[Task], Field(description="what it is for; empty if that is unknown")]
    presets: Annotated[
        dict[str, dict[str, dict[str, Any]]],
        Field(description="by name and value, the parameters that a preset sets"),
    ]
    unclear: Annotated[dict[str, str], Field(description="by name, why the graph has no such parameter")]
    models: Annotated[
        list[ModelAnswer],
        Field(description="the models that it needs: those that its author lists, then others that its graph names"),
    ]
    missing_nodes: MissingNodes
    mask: Mask


class ConvertAnswer(TypedDict):
    """A workflow in API format."""

    prompt: Annotated[dict[str, Any], Field(description="the prompt that the editor would send")]
    parameters: Annotated[
        dict[str, Any],
        Field(description="by name, the JSON Schema of each parameter that a request may set, with its default"),
    ]
    warnings: Annotated[list[str], Field(description="what is odd in the file, and was passed over")]
    required: Annotated[list[str], Field(description="the parameters that a request must set")]
    tasks: Annotated[list[Task], Field(description="what it is for; empty if that is unknown")]
    unclear: Annotated[dict[str, str], Field(description="by name, why the graph has no such parameter")]
    models: Annotated[list[ModelAnswer], Field(description="the models that it needs")]
    missing_nodes: MissingNodes
    mask: Mask


class ServerAnswer(TypedDict):
    """One ComfyUI. Values that it does not report are absent; sizes are in bytes."""

    server: ServerUrl
    reachable: bool
    in_flight: Annotated[int, Field(description="requests of this process in progress there")]
    queue_remaining: Annotated[int | None, Field(description="prompts that wait or run there; null if unknown")]
    mean_seconds: Annotated[
        float | None, Field(description="the mean of the last prompts; null if none was measured")
    ]
    system: dict[str, Any]
    devices: list[dict[str, Any]]


class AgentAnswer(TypedDict):
    """An agent, which runs jobs."""

    name: str
    version: Annotated[str, Field(description="of ComfyBridge")]
    slots: Annotated[int, Field(description="how many jobs it runs at once")]
    running: Annotated[int, Field(description="how many it runs now")]
    servers: Annotated[dict[str, bool], Field(description="whether each of its ComfyUIs answers")]
    mean_seconds: Annotated[float | None, Field(description="the mean of its last jobs; null if it has run none")]


class JobCountsAnswer(TypedDict):
    """The jobs that have not ended."""

    queued: int
    running: int
    oldest_seconds: Annotated[float | None, Field(description="for how long the oldest waits; null if none waits")]


class StatsAnswer(TypedDict):
    """The servers behind the bridge, and the jobs."""

    servers: list[ServerAnswer]
    agents: NotRequired[Annotated[list[AgentAnswer], Field(description="those alive; absent before the first job")]]
    jobs: NotRequired[JobCountsAnswer]
