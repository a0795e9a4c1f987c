"""The Flask application: the bridge, its routes, and what every answer has in common."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from comfybridge.assets.assets import Assets
from comfybridge.bridge import Bridge
from comfybridge.errors import BridgeError
from comfybridge.jobs.agent_servers import AgentServers
from comfybridge.jobs.fleet import Fleet
from comfybridge.jobs.jobs import Jobs
from comfybridge.settings import DIALECTS as DIALECT_NAMES
from comfybridge.settings import Settings, load_settings
from comfybridge.web import errors
from comfybridge.web.access import door
from comfybridge.web.answers import links
from comfybridge.web.answers.browser_rules import forbid_scripts
from comfybridge.web.current import ASSETS, EXTENSION, JOBS, RUNNER
from comfybridge.web.dialects.automatic1111.dialect import AUTOMATIC1111
from comfybridge.web.dialects.comfy.dialect import COMFY
from comfybridge.web.dialects.comfy.uploads import MOST_TEXT
from comfybridge.web.dialects.dialect import EXTENSION as DIALECTS
from comfybridge.web.dialects.dialect import Dialects
from comfybridge.web.dialects.native import older_jobs
from comfybridge.web.dialects.native.dialect import NATIVE
from comfybridge.web.dialects.native.hook_bodies import HookBodies
from comfybridge.web.dialects.openai.dialect import OPENAI
from comfybridge.web.document import docs
from comfybridge.web.errors import Unread
from comfybridge.web.marks import UPLOAD, marks_of
from comfybridge.web.monitoring import probes
from comfybridge.web.page import views as page
from comfybridge.web.page.visits import show_pages
from comfybridge.web.parsing.multipart import is_multipart
from comfybridge.web.request_log import Entry, Watched, note, write_line

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SPOKEN = (NATIVE, OPENAI, AUTOMATIC1111, COMFY)  # the dialects, the bridge's own API first
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class _Application(Flask):
    def admits(self, environ: WSGIEnvironment) -> bool:
        """Whether a server should wait for the body of a request whose head has arrived.

        If not, the server hands the request to the application without its body. The application then answers from
        the head alone: the caller is not admitted, the route takes no body, or the body is too large.
        """
        with self.request_context(environ):
            if request.routing_exception is not None or request.method in WITHOUT_BODY:
                return False
            try:
                refusal = self.preprocess_request()
            except BridgeError:
                return False
            settings = self.extensions[EXTENSION].settings
            most = settings.max_json_bytes + (settings.max_upload_bytes if is_multipart(request) else 0)
            if marks_of(self.view_functions.get(request.endpoint or "")).takes_upload:
                most = settings.max_asset_bytes + MOST_TEXT
                environ[UPLOAD] = True
            return refusal is None and (request.content_length or 0) <= most

    def write_refusal(
        self, path: str, status: int, type: str, sentence: str, retry_after: int | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Word what the server refuses before it is a request, as the dialect at its address words errors.

        Args:
            path: the address, as far as it is known.
            status, type, sentence, retry_after: as in the errors of the bridge's own API.

        Returns:
            The status, the headers beside those of any JSON, and the body.
        """
        error = Unread(sentence, status=status, type=type, retry_after=retry_after)
        shape = self.extensions[DIALECTS].at(path).errors
        with self.app_context():
            g.request_id = ""  # it is not logged as a request
            headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
            headers.update({name: value for name, value in shape.headers(error).items() if value})
            body = self.json.dumps(shape.body(error, g.request_id)).encode() + b"\n"
            return shape.status(error), headers, body


def create_app(settings: Settings | None = None) -> Flask:
    """Make the WSGI application.

    Args:
        settings: from the environment and `.env` if not given.

    Raises:
        SettingsError: a setting has a value that can't be used.
    """
    app = _Application("comfybridge", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the contract's order is easier to read
    settings = settings or load_settings()
    servers = AgentServers() if settings.is_fleet else None
    bridge = app.extensions[EXTENSION] = Bridge(settings, servers)
    jobs = app.extensions[JOBS] = _jobs(bridge) if settings.jobs else None
    app.extensions[ASSETS] = None if jobs is None else Assets(bridge, jobs)
    app.extensions[RUNNER] = bridge
    if servers is not None and jobs is not None:
        servers.connect = lambda: (jobs.parts().engine, jobs.parts().presence)
        app.extensions[RUNNER] = Fleet(bridge, jobs)
    dialects = app.extensions[DIALECTS] = _spoken(bridge.settings)
    app.before_request(partial(_begin, dialects))
    app.after_request(_finish)
    if bridge.settings.page:
        app.register_blueprint(page.blueprint)
        show_pages(app)
    door.protect(app, bridge.settings, lambda: dialects.of_request(request).key_places)
    errors.answer_errors(
        app,
        lambda: dialects.of_request(request).errors,
        is_listed=lambda endpoint: _is_listed(endpoint.rpartition(".")[0], dialects),
    )
    for blueprint in (*(each.blueprint for each in dialects.all), links.blueprint, probes.blueprint, docs.blueprint):
        app.register_blueprint(blueprint)
    if not bridge.settings.page:
        app.register_blueprint(docs.front)
    if jobs is not None:
        app.register_blueprint(older_jobs.JOBS_BLUEPRINT)
    told: list[Callable[[Entry], None]] = [partial(write_line, quotes=bridge.settings.log_prompts)]
    if bridge.settings.metrics:
        from comfybridge.web.monitoring import metrics  # without it, its library is not loaded

        app.register_blueprint(metrics.blueprint)
        told.append(metrics.begin(app, bridge, jobs))
    app.wsgi_app = Watched(app.wsgi_app, told)  # type: ignore[method-assign]
    return app


def _is_listed(blueprint: str, dialects: Dialects) -> bool:
    """Whether an error about an unknown address names the routes of a blueprint."""
    return blueprint != page.blueprint.name and dialects.of(blueprint) is dialects.of_request(request)


def _jobs(bridge: Bridge) -> Jobs:
    jobs = Jobs(bridge)
    jobs.write_hook = HookBodies(bridge, jobs).write
    return jobs


def _spoken(settings: Settings) -> Dialects:
    off = set(DIALECT_NAMES).difference(settings.dialects)
    if not settings.jobs:
        off.add(COMFY.name)
    return Dialects(tuple(each for each in SPOKEN if each.name not in off))


def _begin(dialects: Dialects) -> None:
    g.dialect = dialects.of_request(request).name
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
    forbid_scripts(response)
    note(response)
    return response
