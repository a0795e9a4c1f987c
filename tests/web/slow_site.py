"""A web server that takes its time to send a picture."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests import graphs
from tests.media.pictures import png_of_comfyui
from tests.waiting import SECONDS


class SlowSite:
    """A web server that lets whoever asks for its picture wait until it is told to go on.

    Attributes:
        status: what it then answers with.
        times: how often it was asked.
    """

    def __init__(self) -> None:
        self.status = 200
        self.times = 0
        self.asked = threading.Event()
        self.go_on = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.times += 1
                site.asked.set()
                site.go_on.wait(SECONDS)
                data = png_of_comfyui()
                self.send_response(site.status)
                self.send_header("Content-Type", "image/png")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/cat.png"

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def loading(site: SlowSite) -> dict[str, Any]:
    """A request that needs the site's picture."""
    graph = graphs.picture()
    graph["1"] = graphs.node("LoadImage", image="cat")
    return {"workflow": graph, "images": {"cat": site.url}}
