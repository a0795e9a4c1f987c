"""What sees all answers below /api/v2, and holds them against the specification."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tests.dialects.comfy.specification import faults_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/api/v2"
# What no answer may tell of the inside, beside the places that a test adds.
INSIDE = (r"Traceback \(most", r"site-packages", r"\.py\b\"?, line", r"werkzeug\.", r"<!doctype", r"nats://")
LONGEST = 10_000_000  # bytes that are looked into


class Checked:
    """A WSGI application whose answers below /api/v2 are checked as they leave.

    Args:
        faults: where faults are added.
        answers: where answers are added, as "GET /api/v2/jobs 200".
        inside: texts that no answer may have: addresses and folders of ComfyUI and of the bridge.
    """

    def __init__(
        self, application: WSGIApplication, faults: list[str], answers: list[str], inside: Iterable[str]
    ) -> None:
        self._application = application
        self._faults = faults
        self._answers = answers
        self._inside = inside

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(PREFIX + "/"):
            return self._application(environ, start_response)
        answer = _Answer(environ["REQUEST_METHOD"], environ["PATH_INFO"])

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            answer.begin(status, headers)
            self._answers.append(str(answer))  # before the caller has it
            return start_response(status, headers, *error)

        return _Body(self._application(environ, start), answer, self._end)

    def _end(self, answer: _Answer) -> None:
        found = [*answer.faults(), *answer.leaks(self._inside)]
        self._faults += [f"{answer}: {each}" for each in found]


class _Answer:
    def __init__(self, method: str, path: str) -> None:
        self._method = method
        self._path = path
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = b""

    def begin(self, status: str, headers: list[tuple[str, str]]) -> None:
        self._status = int(status.split()[0])
        self._headers = {name.lower(): value for name, value in headers}

    def add(self, chunk: bytes) -> None:
        if self._is_text or (not self._is_content and len(self._body) < LONGEST):
            self._body += chunk

    def faults(self) -> list[str]:
        found = faults_of(self._method, self._path, self._status, self._media_type, self._body)
        if "x-comfy-request-id" not in self._headers:
            found.append("no X-Comfy-Request-Id")
        if self._status == 429 and not re.fullmatch(r"[1-9]\d*", self._headers.get("retry-after", "")):
            found.append(f"Retry-After: {self._headers.get('retry-after')}")
        return found

    def leaks(self, inside: Iterable[str]) -> list[str]:
        told = "\n".join(f"{name}: {value}" for name, value in self._headers.items())
        if self._is_text:
            told += "\n\n" + self._body.decode(errors="replace")
        patterns = (*INSIDE, *map(re.escape, filter(None, inside)))
        return [f"tells {each} of the inside: {told[:1000]}" for each in patterns if re.search(each, told)]

    @property
    def _media_type(self) -> str:
        return self._headers.get("content-type", "").partition(";")[0].strip()

    @property
    def _is_text(self) -> bool:
        return not self._is_content and self._media_type in ("application/json", "text/event-stream", "text/html")

    @property
    def _is_content(self) -> bool:
        return self._path.endswith("/content") and self._status < 300

    def __str__(self) -> str:
        return f"{self._method} {self._path} {self._status}"


class _Body:
    """Passes a body on, also that of an endless stream, and looks at the whole at its end.

    Flask's test client reads bodies to their end and does not close them; servers close them, also before their end.
    """

    def __init__(self, chunks: Iterable[bytes], answer: _Answer, end: Callable[[_Answer], None]) -> None:
        self._chunks = chunks
        self._answer = answer
        self._end = end
        self._has_ended = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._answer.add(chunk)
            yield chunk
        self._look()

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
        self._look()

    def _look(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._end(self._answer)
