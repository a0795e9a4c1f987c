"""The head of an HTTP answer, read without the `email` package: that takes longer than the rest of a call to ComfyUI.

What follows the head (a body of a known length, in chunks, or up to the end of the connection) is the standard
library's to read.
"""

from __future__ import annotations

import http.client
import re
import socket

LONGEST_LINE = 64 * 1024
MOST_FIELDS = 100  # as http.client allows
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: |\r?\n)")
BODILESS = (204, 304)


class Response(http.client.HTTPResponse):
    """An answer on a connection; nothing of it has been read.

    Attributes:
        fields: the headers by their names in small letters, once the answer has begun.
    """

    def __init__(self, connection: socket.socket, method: str) -> None:
        super().__init__(connection, method=method)
        self.fields: dict[str, str] = {}

    def begin(self) -> None:
        """Read the head.

        Raises:
            OSError, http.client.HTTPException: it does not come, or is none.
        """
        minor, self.status = self._status()
        while self.status == http.client.CONTINUE:
            self._read_fields()
            minor, self.status = self._status()
        self.fields = fields = self._read_fields()
        self.chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else _length(fields.get("content-length", ""))
        if self.status in BODILESS or self.status < 200:
            self.length = 0
        said = fields.get("connection", "").lower()
        stays = "close" not in said if minor > 0 else "keep-alive" in said
        # without a length, the end of the connection is the end of the answer
        self.will_close = not stays or (self.length is None and not self.chunked)

    def _status(self) -> tuple[int, int]:
        line = self._line()
        if not line:
            raise http.client.RemoteDisconnected("The connection was closed without an answer.")
        match = STATUS_LINE.match(line)
        if match is None:
            raise http.client.BadStatusLine(line.decode("latin-1"))
        return int(match[1]), int(match[2])

    def _read_fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for _ in range(MOST_FIELDS + 1):
            line = self._line()
            if line in (b"\r\n", b"\n"):
                return fields
            if not line:
                raise http.client.RemoteDisconnected("The connection was closed in the middle of an answer's head.")
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        raise http.client.HTTPException(f"The answer has more than {MOST_FIELDS} headers.")

    def _line(self) -> bytes:
        line = self.fp.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise http.client.LineTooLong("a line of an answer's head")
        return line


def _length(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
