"""Errors as the Comfy API v2 writes them: an envelope with a code, and statuses of its own."""

from __future__ import annotations

import re
from typing import Annotated, Any

from flask import Response, g
from pydantic import Field
from typing_extensions import TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.errors import BridgeError, InvalidRequest, InvalidWorkflow
from comfybridge.web.dialects.comfy.blueprint import blueprint
from comfybridge.web.errors import ErrorShape, Unread

REQUEST_ID = "X-Comfy-Request-Id"
UNPROCESSABLE = 422
BROKEN = (500, "upstream_error")
UNREACHABLE = (503, "upstream_unreachable")
BROKEN_TYPES = (
    "internal_error",
    "comfyui_error",
    "broken_workflow",
    "model_missing",
    "execution_failed",
    "prompt_lost",
)
SOMETIMES = 10  # seconds: the SDKs try again for a minute in all, and a queue may have room meanwhile
SOON = 1  # seconds: a caller gives up at a refusal that does not say when to come again

# By the bridge's own types: the status and the code, where they are not the error's own.
_ANSWERS = {
    "invalid_request": (UNPROCESSABLE, "invalid_request"),
    "invalid_workflow": (UNPROCESSABLE, "invalid_workflow"),
    "missing_asset": (UNPROCESSABLE, "missing_asset"),
    "unknown_workflow": (UNPROCESSABLE, "invalid_workflow"),
    "idempotency_conflict": (UNPROCESSABLE, "idempotency_key_reuse"),
    "unknown_prompt": (404, "not_found"),
    "link_expired": (404, "not_found"),
    "busy": (429, "queue_full"),
    "shutting_down": UNREACHABLE,
    "comfyui_unreachable": UNREACHABLE,
    "engine_unreachable": UNREACHABLE,
    "timeout": UNREACHABLE,
    "too_large": (413, "payload_too_large"),
    **dict.fromkeys(BROKEN_TYPES, BROKEN),
}
# Likewise, of what the server refuses before it is a request: the status says what.
_UNREAD = {"too_large": "payload_too_large"}
_ADDRESS = re.compile(r" at (?:https?|nats|tls|ws|wss)://\S+")
# What sentences say of fields of the bridge's own API, and what is said here.
_OWN_HINTS = (
    (re.compile(r' \(in a request, "model": "(?:[^"\\]|\\.)*"\)'), ""),
    (re.compile(r"; send it in images\b"), "; upload it as an asset"),
    (re.compile(r"; send files in images\b"), "; upload files as assets"),
    (re.compile(r"^images: "), ""),
)
_GENERIC = "Something went wrong inside the bridge; its log has the details."


class ErrorDetail(TypedDict):
    """What went wrong."""

    code: Annotated[str, Field(description="a stable name for programs")]
    message: Annotated[str, Field(description="one sentence for people")]
    details: Annotated[dict[str, Any] | None, Field(description="node_errors of a graph that cannot work")]


class ErrorEnvelope(TypedDict):
    """Any error."""

    error: ErrorDetail


class Malformed(InvalidRequest):
    """The body is not JSON, or a part of the query has no meaning."""

    def __init__(self, message: str, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.code = code


class WorkflowFormatUi(InvalidWorkflow):
    """The workflow is the editor's own file instead of a graph."""

    status = UNPROCESSABLE
    type = "workflow_format_ui"


class MetadataInvalid(InvalidRequest):
    """A label has a form that labels cannot have."""

    status = UNPROCESSABLE
    type = "metadata_invalid"


class TooManyStreams(BridgeError):
    """Every slot is taken."""

    status = 429
    type = "too_many_streams"


class RangeNotSatisfiable(BridgeError):
    """The bytes of an asset end before the range begins.

    Attributes:
        size: how many bytes it has.
    """

    status = 416
    type = "range_not_satisfiable"

    def __init__(self, message: str, *, size: int | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.size = size


def status_of(error: BridgeError | type[BridgeError]) -> int:
    """The HTTP status of an error, or of a class of them."""
    return _answer_to(error)[0]


def code_of(error: BridgeError | type[BridgeError]) -> str:
    """The code of an error, or of a class of them."""
    return _answer_to(error)[1]


def error_body(error: BridgeError, _: str = "") -> ErrorEnvelope:
    """The JSON of an error."""
    code = code_of(error)
    message = _GENERIC if code == BROKEN[1] else message_of(error)
    details = {"node_errors": error.node_errors} if error.node_errors else None
    return {"error": {"code": code, "message": message, "details": details}}


def message_of(error: BridgeError) -> str:
    """The sentence of an error, as it is said here."""
    return said_here(error.message)


def said_here(sentence: str) -> str:
    """A sentence without the addresses of ComfyUI and the engine, and without hints at another API."""
    sentence = _ADDRESS.sub("", sentence)
    for hint, said in _OWN_HINTS:
        sentence = hint.sub(said, sentence)
    return sentence


def _answer_to(error: BridgeError | type[BridgeError]) -> tuple[int, str]:
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, Malformed):
        return kind.status, getattr(error, "code", kind.type)
    if isinstance(error, Unread) and error.type not in ("busy", "internal_error"):
        return error.status, _UNREAD.get(error.type, error.type)
    return _ANSWERS.get(error.type, (error.status, error.type))


def _headers(error: BridgeError) -> dict[str, str]:
    headers = {REQUEST_ID: g.request_id}
    if code_of(error) == "queue_full":
        headers["Retry-After"] = str(min(error.retry_after or SOON, SOMETIMES))
    elif error.retry_after is None and status_of(error) == 429:
        headers["Retry-After"] = str(SOON)
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    return headers


@blueprint.after_request
def _name_request(response: Response) -> Response:
    response.headers[REQUEST_ID] = g.request_id
    return response


SHAPE = ErrorShape(error_body, ErrorEnvelope, _headers, status_of, code_of)
