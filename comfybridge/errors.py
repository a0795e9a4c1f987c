"""Every error that a caller can see, as one tree.

BridgeError
├── InvalidRequest          400 invalid_request
│   ├── InvalidWorkflow     400 invalid_workflow
│   └── MissingAsset        400 missing_asset
├── Unauthorized            401 unauthorized
├── Forbidden               403 forbidden
├── UnknownWorkflow         404 unknown_workflow
├── UnknownPrompt           404 unknown_prompt
├── NotFound                404 not_found
├── MethodNotAllowed        405 method_not_allowed
├── NotAcceptable           406 not_acceptable
├── LinkExpired             410 link_expired
├── TooLarge                413 too_large
├── UnsupportedMediaType    415 unsupported_media_type
├── Interrupted             409 interrupted
├── IdempotencyConflict     409 idempotency_conflict
├── RateLimited             429 rate_limited
├── BrokenWorkflow          500 broken_workflow
│   └── ModelMissing        500 model_missing
├── ExecutionFailed         500 execution_failed
├── NoOutput                500 no_output
├── InternalError           500 internal_error
├── ComfyUIError            502 comfyui_error
├── PromptLost              502 prompt_lost
├── Busy                    503 busy
├── ShuttingDown            503 shutting_down
├── ComfyUIUnreachable      503 comfyui_unreachable
├── EngineUnreachable       503 engine_unreachable
├── TimedOut                504 timeout
├── BridgeUnreachable       503 bridge_unreachable, raised by a `Client` only
└── SettingsError           wrong_setting, before there is a bridge (`settings.py`)

A message is one sentence for people: what is wrong, and what is accepted. It never contains a traceback or a path on
the server.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, ClassVar

# Sentences quote foreign text: remove line breaks, terminal control characters, marks that reverse the direction
# of writing, and halves of characters.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


class BridgeError(Exception):
    """What went wrong with a request, ready to be shown to the caller.

    Attributes:
        status: the HTTP status that goes with it.
        type: the stable name that programs branch on.
        message: one sentence for people.
        prompt_id: the prompt that it concerns, once there is one.
        node: `{"id", "class_type", "exception_type", "exception_message"}` of the node that failed, if one did.
        node_errors: ComfyUI's own `node_errors`, without tracebacks, if it refused a graph.
        retry_after: seconds after which a retry makes sense, if it does.
        field: the field of the request, or the parameter, that is wrong, if it is one; for programs.
        lacks: what the ComfyUI that was asked lacks and another may have, such as a node class; None if nothing.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        prompt_id: str | None = None,
        node: dict[str, Any] | None = None,
        node_errors: dict[str, Any] | None = None,
        retry_after: int | None = None,
        lacks: str | None = None,
        field: str | None = None,
    ) -> None:
        message = _UNSHOWN.sub(" ", message)
        super().__init__(message)
        self.message = message
        self.prompt_id = prompt_id
        self.node = node
        self.node_errors = node_errors
        self.retry_after = retry_after
        self.lacks = lacks
        self.field = field


class InvalidRequest(BridgeError):
    """The request is wrong; the same request will never work."""

    status = 400
    type = "invalid_request"


class InvalidWorkflow(InvalidRequest):
    """The graph is wrong; the bridge or ComfyUI refused it."""

    type = "invalid_workflow"


class MissingAsset(InvalidRequest):
    """An asset that an input of the graph refers to does not exist, or its bytes are gone."""

    type = "missing_asset"


class Unauthorized(BridgeError):
    """The bridge requires an API key, and the request has none that it knows."""

    status = 401
    type = "unauthorized"


class Forbidden(BridgeError):
    """The caller is not allowed to do that, or a web page is not allowed to do it for the caller."""

    status = 403
    type = "forbidden"


class UnknownWorkflow(BridgeError):
    """No template has that name."""

    status = 404
    type = "unknown_workflow"


class UnknownPrompt(BridgeError):
    """ComfyUI has no prompt with that id, or the call makes no sense for it."""

    status = 404
    type = "unknown_prompt"


class NotFound(BridgeError):
    """The address does not exist."""

    status = 404
    type = "not_found"


class LinkExpired(BridgeError):
    """The link to a file was valid once, and is no longer."""

    status = 410
    type = "link_expired"


class MethodNotAllowed(BridgeError):
    """The address exists, but not for this method."""

    status = 405
    type = "method_not_allowed"


class NotAcceptable(BridgeError):
    """The outputs have none of the forms that the caller accepts."""

    status = 406
    type = "not_acceptable"


class TooLarge(BridgeError):
    """The body, its graph or a file is larger than the settings allow."""

    status = 413
    type = "too_large"


class UnsupportedMediaType(BridgeError):
    """The body has a compression or a charset that the bridge cannot read."""

    status = 415
    type = "unsupported_media_type"


class Interrupted(BridgeError):
    """The prompt was cancelled."""

    status = 409
    type = "interrupted"


class IdempotencyConflict(BridgeError):
    """The Idempotency-Key was used for a different request."""

    status = 409
    type = "idempotency_conflict"


class RateLimited(BridgeError):
    """The caller has sent too many requests."""

    status = 429
    type = "rate_limited"


class BrokenWorkflow(BridgeError):
    """A template cannot run: its files are broken, or do not fit this ComfyUI. Not the caller's fault."""

    type = "broken_workflow"


class ModelMissing(BrokenWorkflow):
    """A model that a template itself names is not installed in ComfyUI."""

    type = "model_missing"


class ExecutionFailed(BridgeError):
    """A node raised an exception while the prompt ran."""

    type = "execution_failed"


class NoOutput(BridgeError):
    """The prompt finished without any output."""

    type = "no_output"


class InternalError(BridgeError):
    """A bug in the bridge."""


class ComfyUIError(BridgeError):
    """ComfyUI's answer makes no sense, or something else answers in its place."""

    status = 502
    type = "comfyui_error"


class FileUnusable(ComfyUIError):
    """One output file is missing, is not served, or is not what its name says; others may be fine."""


class PromptLost(BridgeError):
    """The prompt is no longer in ComfyUI's queue, nor in its history."""

    status = 502
    type = "prompt_lost"


class Busy(BridgeError):
    """Every slot is taken, or ComfyUI's queue is at its limit."""

    status = 503
    type = "busy"


class ShuttingDown(BridgeError):
    """The bridge is shutting down and cannot wait for the prompt any longer."""

    status = 503
    type = "shutting_down"


class ComfyUIUnreachable(BridgeError):
    """ComfyUI does not answer."""

    status = 503
    type = "comfyui_unreachable"


class EngineUnreachable(BridgeError):
    """The engine that keeps the jobs does not answer, or there is none."""

    status = 503
    type = "engine_unreachable"

    def __init__(self, message: str, *, retry_after: int | None = 5, **details: Any) -> None:
        super().__init__(message, retry_after=retry_after, **details)


class TimedOut(BridgeError):
    """The deadline passed before the prompt had finished."""

    status = 504
    type = "timeout"


class BridgeUnreachable(BridgeError):
    """The bridge does not answer, or something else answers in its place."""

    status = 503
    type = "bridge_unreachable"


@functools.cache
def error_classes() -> Mapping[str, type[BridgeError]]:
    """The class of each error type; if several share a type, the most general one."""
    found: dict[str, type[BridgeError]] = {}
    pending: list[type[BridgeError]] = [BridgeError]
    while pending:
        kind = pending.pop(0)
        found.setdefault(kind.type, kind)
        pending += kind.__subclasses__()
    return found


def forget_frames(error: BaseException | None) -> None:
    """Drop the frames that an error passed through, with all their variables, which refer to the error in turn.

    Otherwise a body of many megabytes stays in memory until the garbage collector runs.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
