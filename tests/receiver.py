"""A receiver of webhooks."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import until_true


def new_secret() -> str:
    """A secret that webhooks can be signed with."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


@dataclass(frozen=True)
class Received:
    """A webhook as it came.

    Attributes:
        headers: by names in small letters.
    """

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """An HTTP server on the loopback, in a thread. Use it in a `with`.

    Attributes:
        answers: the statuses of the next answers; 200 after them, or `status`.
        came: what came in.
        gone: set at the end, so that answers that wait don't outlive the test.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        self.answers: list[int] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.came: list[Received] = []
        self.before_answer: Callable[[Received], None] = lambda _: None
        self.gone = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.path, headers, self.rfile.read(length))
                receiver.came.append(received)
                receiver.before_answer(received)
                self.send_response(receiver.answers.pop(0) if receiver.answers else receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                """Nothing: senders that hang up are what is tested."""

        self._server = Server((host, port), Handler)
        self.port = self._server.server_address[1]
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http://{host}:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def wait_for(self, count: int) -> list[Received]:
        """Wait until so many have come."""
        until_true(lambda: len(self.came) >= count)
        return self.came

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.gone.set()
        self._server.shutdown()
        self._server.server_close()
