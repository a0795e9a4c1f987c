"""One caller of a bridge: an HTTP connection with one request at a time, with as little CPU as Python allows."""

from __future__ import annotations

import socket
import time

CHUNK = 256 * 1024
UNTIL_CLOSED = -1
IN_CHUNKS = -2


class Caller:
    """A kept-alive connection for a selector. After an answer, `status` and `received` describe it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._length: int | None = None
        self._closes = False
        self.socket = socket.create_connection(self._address)
        self.received = bytearray()
        self.status = 0
        self.began = 0.0

    def send(self, request: bytes) -> None:
        """Begin a request."""
        self.received.clear()
        self.status, self._length, self._closes = 0, None, False
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Read what has arrived; returns whether the answer is complete. A truncated one has the status 0."""
        try:
            chunk = self.socket.recv(CHUNK)
        except ConnectionError:
            chunk = b""
        if not chunk:
            if self._length != UNTIL_CLOSED:
                self.status = 0
            self._closes = True
            return True
        self.received += chunk
        if self._length is None and not self._read_head():
            return False
        if self._length == IN_CHUNKS:
            return self.received.endswith(b"0\r\n\r\n")
        return self._length is not None and 0 <= self._length <= len(self.received)

    def renew(self) -> bool:
        """Reconnect if the other side has closed this connection; returns whether it had."""
        if self._closes:
            self.socket.close()
            self.socket = socket.create_connection(self._address)
        return self._closes

    def _read_head(self) -> bool:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self.received[:end].decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(":", 1) for line in lines)
        self.status = int(first.split()[1])
        self._closes = headers.get("connection", "").strip() == "close"
        if "content-length" in headers:
            self._length = end + 4 + int(headers["content-length"])
        else:
            self._length = IN_CHUNKS if "transfer-encoding" in headers else UNTIL_CLOSED
        return True
