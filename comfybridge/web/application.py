"""The Flask application: the bridge, its routes, and what every answer has in common."""

from __future__ import annotations

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request

from comfybridge.bridge import Bridge
from comfybridge.settings import Settings
from comfybridge.web import docs, errors, generate, probes, prompts, server_info, workflows
from comfybridge.web.current import EXTENSION

log = logging.getLogger("comfybridge.requests")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def create_app(settings: Settings | None = None) -> Flask:
    """Make the WSGI application.

    Args:
        settings: from the environment and `.env` if not given.

    Raises:
        SettingsError: a setting has a value that can't be used.
    """
    app = Flask("comfybridge", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the contract's order is easier to read
    app.extensions[EXTENSION] = Bridge(settings)
    app.before_request(_begin)
    app.after_request(_finish)
    errors.register(app)
    for resource in (generate, prompts, workflows, server_info, probes, docs):
        app.register_blueprint(resource.blueprint)
    return app


def _begin() -> None:
    g.started = time.monotonic()  # the deadline counts from here
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    if g.get("is_negotiated"):
        response.vary.add("Accept")
    prompt_id = g.get("prompt_id")
    if prompt_id:
        response.headers["X-Prompt-Id"] = prompt_id
    if request.endpoint not in ("probes.health", "probes.ready"):
        seconds = time.monotonic() - g.started
        log.info(
            "%s %s %d %.3f s, request %s, prompt %s",
            request.method,
            request.path,
            response.status_code,
            seconds,
            g.request_id,
            prompt_id or "-",
        )
    return response
