"""A request that is blocked while its server is stopped, and what the server logs of that."""

from __future__ import annotations

import json
import threading
from typing import Any

import requests

from tests import graphs
from tests.serving.servers import Server
from tests.waiting import SECONDS


class Caller(threading.Thread):
    """One blocked request, and what is answered to it."""

    def __init__(self, server: Server, **body: Any) -> None:
        super().__init__(daemon=True)
        self.answer: requests.Response | None = None
        self._url = f"{server.url}/generate"
        self._body = {"workflow": graphs.picture(), **body}
        self.start()

    def run(self) -> None:
        self.answer = requests.post(self._url, json=self._body, timeout=SECONDS)

    def answered(self) -> requests.Response:
        self.join(SECONDS)
        assert self.answer is not None
        return self.answer


def messages(server: Server) -> list[str]:
    """What a server that has ended logged of its stop."""
    server.end()
    lines = [json.loads(line) for line in server.said.splitlines() if line.startswith("{")]
    return [line["message"] for line in lines if line.get("logger") == "comfybridge.serving.stopping"]
