"""Every exception as the one JSON shape of an error."""

from __future__ import annotations

import logging
from typing import cast

from flask import Flask, Response, current_app, g, jsonify, request
from werkzeug.exceptions import HTTPException

from comfybridge.errors import BridgeError, InternalError, InvalidRequest, MethodNotAllowed, NotFound, TooLarge
from comfybridge.web.describing import readable_path
from comfybridge.web.dialects.native.bodies import ErrorAnswer
from comfybridge.web.parsing.body_stream import ENCODINGS

log = logging.getLogger(__name__)

LONGEST_PATH = 200  # characters of it that an error quotes
LONGEST_METHOD = 20


def register(app: Flask) -> None:
    """Have the application answer every exception in the contract's shape."""
    app.register_error_handler(BridgeError, answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_bug)


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


def answer(error: BridgeError) -> Response:
    """The HTTP answer of an error."""
    if error.prompt_id:
        g.prompt_id = error.prompt_id
    forget_frames(error)
    g.error = error
    response = jsonify(error_body(error, g.request_id))
    response.status_code = error.status
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.status == 415:
        response.headers["Accept-Encoding"] = ", ".join(ENCODINGS)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def forget_frames(error: BaseException | None) -> None:
    """Let go of the frames that an error has come through, with all their variables; they refer to the error in turn.

    Without that, a body of many megabytes stays in memory until Python looks for garbage.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _answer_http(error: HTTPException) -> Response:
    response = answer(_of_http(error))
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _of_http(error: HTTPException) -> BridgeError:
    if error.code == 404:
        return NotFound(f"Nothing is served under {request.path[:LONGEST_PATH]}; there are {_routes()}.")
    if error.code == 405:
        allowed = ", ".join(sorted(set(getattr(error, "valid_methods", None) or []) - {"HEAD", "OPTIONS"}))
        path, method = request.path[:LONGEST_PATH], request.method[:LONGEST_METHOD]
        return MethodNotAllowed(f"{path} does not take {method}; it takes {allowed}.")
    if error.code == 413:
        return TooLarge("The body is too large.")
    if error.code is not None and error.code < 500:
        return InvalidRequest("The HTTP request is malformed or was cut off.")
    return InternalError("Something went wrong inside the bridge.")


def _routes() -> str:
    """What is served, as `GET /results/ID`."""
    routes = [
        f"{method} {readable_path(rule.rule, _placeholder)}"
        for rule in current_app.url_map.iter_rules()
        if not rule.rule.endswith("/")  # those lead to another
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    return ", ".join(routes)


def _placeholder(variable: str) -> str:
    return variable.removeprefix("prompt_").upper()


def _answer_bug(error: Exception) -> Response:
    log.exception("A bug in the bridge (request %s)", g.request_id)
    return answer(InternalError("Something went wrong inside the bridge; its log has the details."))
