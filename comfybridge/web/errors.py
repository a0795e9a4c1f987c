"""Every exception as JSON, in the shape of the dialect that was called."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from werkzeug.exceptions import HTTPException

from comfybridge.errors import (
    BridgeError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    forget_frames,
)
from comfybridge.web.describing import readable_path
from comfybridge.web.parsing.body_stream import ENCODINGS

log = logging.getLogger(__name__)

LONGEST_PATH = 200  # characters of a path that an error quotes
LONGEST_METHOD = 20


@dataclass(frozen=True)
class ErrorShape:
    """How a dialect writes an error.

    Attributes:
        body: returns the JSON for an error and its request's id.
        type: of that JSON, for the document.
        headers: returns headers beside those that every error has.
        status: returns the HTTP status of an error or of a class of them.
        code: returns the name that programs know it by, likewise; for the document.
    """

    body: Callable[[BridgeError, str], Mapping[str, Any]]
    type: Any
    headers: Callable[[BridgeError], Mapping[str, str]] = lambda _: {}
    status: Callable[[BridgeError | type[BridgeError]], int] = lambda error: error.status
    code: Callable[[BridgeError | type[BridgeError]], str] = lambda error: error.type


class Unread(BridgeError):
    """A request that the server refuses before the application gets it.

    Args:
        status: of the answer in the bridge's own API.
        type: likewise.
    """

    def __init__(self, message: str, *, status: int, type: str, retry_after: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status  # type: ignore[misc]  # that of the class is the usual one
        self.type = type  # type: ignore[misc]


def answer_errors(
    source: Flask | Blueprint, shape: Callable[[], ErrorShape], is_listed: Callable[[str], bool] = lambda _: True
) -> None:
    """Answer exceptions: those of a blueprint's views, or those that no blueprint handles.

    A dialect can also change the status, in a `blueprint.after_request`; `g.error` is the error.

    Args:
        shape: returns the shape for the current request.
        is_listed: whether a sentence about an unknown address may name the route of an endpoint.
    """

    def answer_http(error: HTTPException) -> Response:
        response = _answer(_of_http(error, is_listed), shape())
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    def answer_bug(error: Exception) -> Response:
        log.exception("A bug in the bridge (request %s)", g.request_id)
        sentence = "Something went wrong inside the bridge; its log has the details."
        return _answer(InternalError(sentence), shape())

    source.register_error_handler(BridgeError, lambda error: _answer(error, shape()))
    source.register_error_handler(HTTPException, answer_http)
    source.register_error_handler(Exception, answer_bug)


def _answer(error: BridgeError, shape: ErrorShape) -> Response:
    """The HTTP answer of an error."""
    if error.prompt_id:
        g.prompt_id = error.prompt_id
    forget_frames(error)
    g.error = error
    response = jsonify(shape.body(error, g.request_id))
    response.status_code = shape.status(error)
    if error.status == 415:
        response.headers["Accept-Encoding"] = ", ".join(ENCODINGS)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    response.headers.update(shape.headers(error))
    return response


def _of_http(error: HTTPException, is_listed: Callable[[str], bool]) -> BridgeError:
    if error.code == 404:
        return NotFound(f"There is nothing at {request.path[:LONGEST_PATH]}; the addresses are {_routes(is_listed)}.")
    if error.code == 405:
        methods = set(getattr(error, "valid_methods", None) or []) - {"OPTIONS"}
        allowed = ", ".join(sorted(methods - {"HEAD"} or methods))
        path, method = request.path[:LONGEST_PATH], request.method[:LONGEST_METHOD]
        return MethodNotAllowed(f"{path} does not take {method}; it takes {allowed}.")
    if error.code == 413:
        return TooLarge("The body is too large.")
    if error.code is not None and error.code < 500:
        return InvalidRequest("The HTTP request is malformed or was cut off.")
    return InternalError("Something went wrong inside the bridge.")


def _routes(is_listed: Callable[[str], bool]) -> str:
    """The existing addresses, as `GET /results/ID`."""
    routes = [
        f"{method} {readable_path(rule.rule, _placeholder)}"
        for rule in current_app.url_map.iter_rules()
        # those with a slash lead to another address or to a page
        if is_listed(rule.endpoint) and not rule.rule.endswith("/") and not rule.build_only
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    return ", ".join(routes)


def _placeholder(variable: str) -> str:
    return variable.removeprefix("prompt_").upper()
