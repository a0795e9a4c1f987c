"""Every exception as the one JSON shape of an error."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from comfybridge.errors import BridgeError, InternalError, InvalidRequest, MethodNotAllowed, NotFound, TooLarge

log = logging.getLogger(__name__)

ROUTES = (
    "POST /generate, GET /results/ID, POST /cancel/ID, GET /queue, GET /workflows, GET /workflows/NAME, GET /models, "
    "GET /models/FOLDER, GET /stats, GET /health and GET /ready"
)


def register(app: Flask) -> None:
    """Have the application answer every exception in the contract's shape."""
    app.register_error_handler(BridgeError, answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_bug)


def error_body(error: BridgeError, request_id: str) -> dict[str, Any]:
    """The JSON of an error; fields that it has nothing to say of are left out."""
    body: dict[str, Any] = {"status": "error", "type": error.type, "error": error.message}
    for name in ("prompt_id", "node", "node_errors"):
        value = getattr(error, name)
        if value:
            body[name] = value
    body["request_id"] = request_id
    return body


def answer(error: BridgeError) -> Response:
    """The HTTP answer of an error."""
    if error.prompt_id:
        g.prompt_id = error.prompt_id
    if error.status >= 500:
        log.warning("%s: %s (request %s)", error.type, error.message, g.request_id)
    response = jsonify(error_body(error, g.request_id))
    response.status_code = error.status
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _answer_http(error: HTTPException) -> Response:
    response = answer(_of_http(error))
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _of_http(error: HTTPException) -> BridgeError:
    if error.code == 404:
        return NotFound(f"Nothing is served under {request.path}; there are {ROUTES}.")
    if error.code == 405:
        allowed = ", ".join(sorted(set(getattr(error, "valid_methods", None) or []) - {"HEAD", "OPTIONS"}))
        return MethodNotAllowed(f"{request.path} does not take {request.method}; it takes {allowed}.")
    if error.code == 413:
        return TooLarge("The body is too large.")
    if error.code is not None and error.code < 500:
        return InvalidRequest("The HTTP request is malformed or was cut off.")
    return InternalError("Something went wrong inside the bridge.")


def _answer_bug(error: Exception) -> Response:
    log.exception("A bug in the bridge (request %s)", g.request_id)
    return answer(InternalError("Something went wrong inside the bridge; its log has the details."))
