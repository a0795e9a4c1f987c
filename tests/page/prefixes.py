"""A proxy that puts a bridge below a path, and tells it nothing of that."""

from __future__ import annotations

import re
import shutil
import socket
import socketserver
import threading
from typing import BinaryIO

PREFIX = "/pictures/here"


class PrefixProxy:
    """Passes what is below `PREFIX` on to a port; each connection carries one request.

    Attributes:
        url: the address below which the bridge stands, without a slash at the end.
    """

    def __init__(self, target: int) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                pass_on(self.rfile, self.connection, target)

        class Proxy(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Proxy(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, name="prefix proxy", daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{PREFIX}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def pass_on(asked: BinaryIO, caller: socket.socket, target: int) -> None:
    """Send a request on, and its answer back."""
    head = b"".join(iter(asked.readline, b"\r\n"))
    method, path, rest = head.split(b" ", 2)
    if not path.startswith(PREFIX.encode() + b"/"):
        if path:
            caller.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    rest = re.sub(rb"(?im)^connection:.*\r\n", b"", rest)
    with socket.create_connection(("127.0.0.1", target)) as bridge:
        bridge.sendall(b" ".join((method, path[len(PREFIX) :], rest)) + b"Connection: close\r\n\r\n")
        length = re.search(rb"(?im)^content-length: *(\d+)", rest)
        if length:
            bridge.sendall(asked.read(int(length[1])))
        with bridge.makefile("rb", buffering=0) as answer, caller.makefile("wb", buffering=0) as back:
            shutil.copyfileobj(answer, back)
