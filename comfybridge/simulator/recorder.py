"""The requests that have reached the simulator, for tests to look at."""

import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from multidict import CIMultiDict


@dataclass
class RecordedRequest:
    """One request as it arrived."""

    method: str
    path: str
    """Without the server's own prefix, when it has one and the request bore it."""
    query: dict[str, str]
    headers: CIMultiDict[str]
    body: Any = None
    """The parsed JSON, or None."""
    form: dict[str, str] = field(default_factory=dict)
    """The fields of a multipart form; a file field by its file name."""


class Recorder:
    """Collects requests. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[RecordedRequest] = []

    @property
    def requests(self) -> list[RecordedRequest]:
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()

    async def record(self, request: web.Request, path: str) -> None:
        """Notes a request with its body or form; the handler can still read either."""
        recorded = RecordedRequest(request.method, path, dict(request.query), CIMultiDict(request.headers))
        with self._lock:
            self._requests.append(recorded)
        if request.content_type.startswith("multipart/"):
            fields = await request.post()
            recorded.form = {
                name: value.filename if isinstance(value, web.FileField) else str(value)
                for name, value in fields.items()
            }
        elif request.can_read_body:
            with contextlib.suppress(ValueError):
                recorded.body = json.loads(await request.read())
