"""Writes one log line for each request, once its answer has been sent.

Only then are its duration, the number of bytes, and whether the caller was still there known. So `Watched` observes
the body of each answer while it is sent, and passes the outcome on to logs and metrics.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, g, request

from comfybridge.credentials import without_secrets
from comfybridge.errors import BridgeError
from comfybridge.logs import Facts
from comfybridge.own_words import own_words
from comfybridge.prompts.giving_up import Abandoned
from comfybridge.request import Trace
from comfybridge.web.marks import marks_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("comfybridge.requests")
own_log = logging.getLogger(__name__)

SENT, CUT, HUNG_UP = "sent", "cut", "hung_up"

HEADLINE = ("method", "path", "status", "outcome")  # of a line of text
LONGEST_PATH = 200
LONGEST_TEXT = 500  # of a parameter
MOST_PARAMETERS = 50

# A part of a path that may be the token of a link to a file, which is as good as a key.
TOKEN = re.compile(r"([^/]{12})[^/]{88,}")

_KEY = "comfybridge.entry"
NO_TRACE = Trace()


class Entry:
    """A request and what became of it.

    Attributes:
        dialect: the API that it used, such as `native`.
        operation: the blueprint and the view, such as `native.generate`; `none` for an unknown address.
        key: the name of its API key.
        trace: how far it came, if it was a generation request.
        error: the error before an answer began.
        server: the ComfyUI of an existing prompt, if the request was about one.
        sent: bytes of the body.
        end: `sent` if the whole body was sent, `cut` if it could not be completed, `hung_up` if the caller left.
        seconds: how long it took, up to that end.
    """

    __slots__ = (
        "dialect",
        "end",
        "error",
        "key",
        "method",
        "operation",
        "path",
        "prompt_id",
        "request_id",
        "seconds",
        "sent",
        "server",
        "started",
        "status",
        "trace",
    )

    def __init__(self, response: Response) -> None:
        asked = request._get_current_object()  # type: ignore[attr-defined]  # looked up once
        known = vars(g._get_current_object())
        self.request_id: str = known["request_id"]
        self.started: float = known["started"]
        self.method: str = asked.method
        self.path: str = asked.path
        self.dialect: str = known["dialect"]
        self.operation = asked.endpoint or "none"
        self.status = response.status_code
        self.trace: Trace | None = known.get("trace")
        self.error: BridgeError | None = known.get("error")
        self.prompt_id: str | None = known.get("prompt_id")
        self.server: str | None = known.get("server")
        self.key: str | None = known.get("owner")
        self.sent = 0
        self.end = SENT
        self.seconds = 0.0

    @property
    def outcome(self) -> str:
        """`success`, the type of the error, `cut` or `hung_up`."""
        if self.end != SENT:
            return self.end
        error = self.failure
        if error is None:
            return "success"
        return HUNG_UP if isinstance(error, Abandoned) else error.type

    @property
    def failure(self) -> BridgeError | None:
        """The error, from before the answer began or from the middle of it."""
        return self.error or (self.trace.error if self.trace is not None else None)


def note(response: Response) -> None:
    """Have the current request logged once its answer has been sent, unless its view is quiet and it succeeded."""
    if response.status_code >= 400 or not marks_of(current_app.view_functions.get(request.endpoint or "")).is_quiet:
        request.environ[_KEY] = Entry(response)


class Watched:
    """A WSGI application whose answers are observed while they are sent.

    Args:
        app: the application, within which `note` is called.
        told: called with each request whose answer has been sent.
    """

    def __init__(self, app: WSGIApplication, told: Sequence[Callable[[Entry], None]]) -> None:
        self._app = app
        self._told = told

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        chunks = self._app(environ, start_response)
        entry = environ.pop(_KEY, None)
        return chunks if entry is None else _Body(chunks, entry, self._told)


class _Body:
    """The body of an answer. A server requests a chunk once it has sent the last, and always closes the body."""

    __slots__ = ("_asked", "_body", "_chunks", "_entry", "_told")

    def __init__(self, body: Iterable[bytes], entry: Entry, told: Sequence[Callable[[Entry], None]]) -> None:
        self._body = body
        self._chunks = iter(body)
        self._entry: Entry | None = entry
        self._told = told
        self._asked = 0  # bytes that the server has but may not have sent

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        entry = self._entry
        if entry is not None:
            entry.sent += self._asked
            self._asked = 0
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._over(SENT)
            raise
        except BaseException as error:
            if entry is not None and isinstance(error.__cause__, BridgeError):
                entry.error = error.__cause__
            self._over(CUT)
            raise
        self._asked = len(chunk)
        return chunk

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._over(HUNG_UP)

    def _over(self, end: str) -> None:
        entry, self._entry = self._entry, None
        if entry is None:
            return
        entry.end = end
        entry.seconds = time.monotonic() - entry.started
        for tell in self._told:
            try:
                tell(entry)
            except Exception:  # a bug here must not affect the answer
                own_log.exception("A bug in the bridge (request %s)", entry.request_id)


def write_line(entry: Entry, *, quotes: bool) -> None:
    """Log a request. Of the caller's words, only the path is logged, without its query.

    Args:
        quotes: whether to log parameters too, and error messages, which quote them.
    """
    level = logging.WARNING if entry.status >= 500 or entry.end == CUT else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, _line(entry, quotes=quotes))


class Line(Facts):
    """The log's fields for a request."""

    def __str__(self) -> str:
        rest = {name: self[name] for name in self if name not in HEADLINE and self[name] is not None}
        return f"{' '.join(str(self[name]) for name in HEADLINE)}: {Facts(rest)}"


def _line(entry: Entry, *, quotes: bool) -> Line:
    trace = entry.trace or NO_TRACE
    timings = trace.timings
    line = Line(
        request_id=entry.request_id,
        method=entry.method,
        path=TOKEN.sub(r"\1...", entry.path)[:LONGEST_PATH],
        status=entry.status,
        outcome=entry.outcome,
        dialect=entry.dialect,
        prompt_id=entry.prompt_id or trace.prompt_id,
        server=entry.server or trace.server,
        workflow=trace.workflow,
        key=entry.key,
        queued=_rounded(timings.queued) if timings else None,
        executing=_rounded(timings.executing) if timings else None,
        total=_rounded(entry.seconds),
        bytes=entry.sent,
    )
    error = entry.failure
    if error is not None:
        line["error"] = without_secrets(error.message) if quotes else own_words(error)
    if quotes and trace.params:
        line["params"] = {
            name[:LONGEST_TEXT]: _clipped(value) for name, value in list(trace.params.items())[:MOST_PARAMETERS]
        }
    return line


def _clipped(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    # far more than is shown, because credentials that are cut off would not be recognized
    return without_secrets(str(value)[: 10 * LONGEST_TEXT])[:LONGEST_TEXT]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
