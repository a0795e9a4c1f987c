"""A receiver of webhooks that counts, and can be down."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """A receiver of webhooks.

    Attributes:
        accepted: the bodies of the tries that it accepted, by the job's id.
        hook_ids: the header `webhook-id` of all tries, accepted or not, by the job's id.
        refused: how many tries it refused.
    """

    def __init__(self) -> None:
        self.accepted: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.hook_ids: dict[str, set[str]] = defaultdict(set)
        self.refused = 0
        self._lock = threading.Lock()
        self._is_down = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.hear(self.headers["webhook-id"], json.loads(body)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], name="receiver", daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def down(self) -> None:
        """Refuse from now on."""
        self._is_down = True

    def up(self) -> None:
        """Accept again."""
        self._is_down = False

    def hear(self, hook_id: str, body: dict[str, Any]) -> int:
        """One try; returns the status of the answer."""
        job_id = body["data"]["id"]
        with self._lock:
            self.hook_ids[job_id].add(hook_id)
            if self._is_down:
                self.refused += 1
                return 503
            self.accepted[job_id].append(body)
            return 200

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
