"""The JSON of the answers, as OpenAI's clients read it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from comfybridge.errors import BridgeError

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# A caller may try again after these. After other errors, OpenAI's own clients would queue the same prompt twice more.
WORTH_RETRYING = (408, 429, 503)
MODEL_NOT_FOUND = "model_not_found"
OWNER = "comfybridge"
STARTED = int(time.time())


class Picture(TypedDict):
    """A picture, in the one of two forms that was asked for."""

    b64_json: NotRequired[Annotated[str, Field(description="the picture in base64")]]
    url: NotRequired[Annotated[str, Field(description="where it is; the link needs no key and expires in an hour")]]


class Extras(TypedDict):
    """What the bridge knows beyond OpenAI's answer."""

    prompt_id: Annotated[
        str, Field(description="the id under which ComfyUI ran it; the first, if there were several")
    ]
    seed: Annotated[int | None, Field(description="the seed used, if the workflow has one")]
    seeds: NotRequired[Annotated[list[int | None], Field(description="those of all prompts, if there were several")]]
    prompt_ids: NotRequired[list[str]]
    warnings: Annotated[list[str], Field(description="what was not done as asked")]


class ImagesAnswer(TypedDict):
    """The pictures."""

    created: Annotated[int, Field(description="when, in seconds since 1970")]
    data: list[Picture]
    output_format: Annotated[str, Field(description="of the pictures, such as png")]
    size: NotRequired[Annotated[str, Field(description="WIDTHxHEIGHT of the first picture")]]
    quality: NotRequired[str]
    background: NotRequired[str]
    comfybridge: Extras


class InputTokens(TypedDict):
    """OpenAI counts tokens; the bridge does not."""

    image_tokens: int
    text_tokens: int


class Usage(TypedDict):
    """Zeros, where OpenAI's clients need figures."""

    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    total_tokens: int


class PartialImageEvent(TypedDict):
    """An event of a stream: a preview of a picture."""

    type: str
    b64_json: str
    partial_image_index: int
    created_at: int
    output_format: str
    size: str
    quality: str
    background: str


class CompletedEvent(TypedDict):
    """An event of a stream: a finished picture."""

    type: str
    b64_json: str
    created_at: int
    output_format: str
    size: str
    quality: str
    background: str
    usage: Usage
    comfybridge: Extras


class ErrorDetails(TypedDict):
    """What went wrong."""

    message: Annotated[str, Field(description="a sentence for people")]
    type: Literal[
        "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error"
    ]
    param: Annotated[str | None, Field(description="the field that is wrong, if it is one")]
    code: Annotated[str, Field(description="the error's stable name, for programs to branch on")]


class OpenAIError(TypedDict):
    """An error."""

    error: ErrorDetails


class ErrorEvent(TypedDict):
    """The last event of a stream that failed."""

    type: Literal["error"]
    error: ErrorDetails


class OpenAIModel(TypedDict):
    """A workflow or a model that requests may name."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModels(TypedDict):
    """All of them."""

    object: Literal["list"]
    data: list[OpenAIModel]


def error_body(error: BridgeError, request_id: str) -> OpenAIError:
    """The JSON of an error."""
    type_ = TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    code = MODEL_NOT_FOUND if error.type == "unknown_workflow" else error.type
    param = "model" if error.field == "workflow" else error.field  # which is how these callers name a workflow
    details: Any = {"message": error.message, "type": type_, "param": param, "code": code}
    return {"error": details}


def error_event(error: BridgeError, request_id: str) -> ErrorEvent:
    """The JSON of an error in a stream."""
    return {"type": "error", "error": error_body(error, request_id)["error"]}


def error_headers(error: BridgeError) -> Mapping[str, str]:
    """Tell OpenAI's clients not to repeat a request that would fail again, or burn the GPU again."""
    return {} if error.status in WORTH_RETRYING else {"X-Should-Retry": "false"}


def model_answer(name: str) -> OpenAIModel:
    """The JSON of a workflow or model."""
    return {"id": name, "object": "model", "created": STARTED, "owned_by": OWNER}


NO_USAGE: Usage = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
