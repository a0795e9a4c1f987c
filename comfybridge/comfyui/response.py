"""An HTTP answer: its head, and its body of a known length, in chunks, or up to the end of the connection.

The standard library's reader takes longer for a head than the rest of a call to ComfyUI takes, and waits for ever for
lines that drip in.
"""

from __future__ import annotations

import http.client
import io
import re

from comfybridge.comfyui.incoming import Incoming

LONGEST_LINE = 64 * 1024
MOST_FIELDS = 100  # as http.client allows
MOST_CONTINUES = 5  # nobody is asked for one, and one is enough
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: |\r?\n)")
# Python refuses to read numbers of thousands of digits; and nobody sends more than 18 say.
LENGTH_DIGITS = 18
CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,%d})[ \t]*(?:;.*)?\r?\n" % LENGTH_DIGITS, re.DOTALL)
BODILESS = (204, 304)
END_OF_LINE = (b"\r\n", b"\n")


class Response:
    """An answer on a connection; nothing of it has been read.

    Attributes:
        status, fields: what its head says, once that is read; the headers by their names in small letters.
        length: bytes of the body that have not been read; None if the server does not say.
        is_whole: whether all of it has been read.
        will_close: whether the connection can't be used again.
    """

    def __init__(self, incoming: Incoming) -> None:
        self.status = 0
        self.fields: dict[str, str] = {}
        self.length: int | None = None
        self.is_whole = False
        self.will_close = True
        self._incoming = incoming
        self._buffered = io.BufferedReader(incoming)
        self._chunk_left: int | None = None
        self._is_chunked = False

    def begin(self) -> None:
        """Read the head.

        Raises:
            OSError, http.client.HTTPException: it does not come, or not in time as a whole, or is none.
        """
        minor, self.status = self._status()
        continues = 0
        while self.status == http.client.CONTINUE:
            continues += 1
            if continues > MOST_CONTINUES:
                raise http.client.HTTPException("The answer is announced again and again.")
            self._read_fields()
            minor, self.status = self._status()
        self.fields = fields = self._read_fields()
        self._is_chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        self.length = None if self._is_chunked else _length(fields.get("content-length", ""))
        if self.status in BODILESS or self.status < 200:
            self.length = 0
        self.is_whole = self.length == 0
        said = fields.get("connection", "").lower()
        stays = "close" not in said if minor > 0 else "keep-alive" in said
        # without a length, the end of the connection is the end of the answer
        self.will_close = not stays or (self.length is None and not self._is_chunked)

    def read_some(self, most: int) -> bytes:
        """So much of the body as has come, and at least one byte; nothing at its end.

        Raises:
            OSError, http.client.HTTPException: it does not come, or not in time, or not whole.
        """
        if self.is_whole:
            return b""
        self._incoming.begin_step()
        if self._is_chunked:
            return self._read_of_chunk(most)
        if self.length is None:
            data = self._buffered.read1(most)
            self.is_whole = not data
            return data
        data = self._buffered.read1(min(most, self.length))
        if not data:
            raise http.client.IncompleteRead(b"", self.length)
        self.length -= len(data)
        self.is_whole = self.length == 0
        return data

    def _read_of_chunk(self, most: int) -> bytes:
        if not self._chunk_left:
            if self._chunk_left is not None and self._line() not in END_OF_LINE:
                raise http.client.HTTPException("A chunk of the answer is longer than its size.")
            size = CHUNK_SIZE.fullmatch(self._line())
            if size is None:
                raise http.client.HTTPException("A chunk of the answer has no size.")
            self._chunk_left = int(size[1], 16)
            if self._chunk_left == 0:
                self._read_trailers()
                self.is_whole = True
                return b""
        data = self._buffered.read1(min(most, self._chunk_left))
        if not data:
            raise http.client.IncompleteRead(b"", self._chunk_left)
        self._chunk_left -= len(data)
        return data

    def _read_trailers(self) -> None:
        try:
            self._read_fields()
        except http.client.RemoteDisconnected:  # nothing of the body is missing
            self.will_close = True

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
            if line in END_OF_LINE:
                return fields
            if not line:
                raise http.client.RemoteDisconnected("The connection was closed in the middle of an answer's head.")
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        raise http.client.HTTPException(f"The answer has more than {MOST_FIELDS} headers.")

    def _line(self) -> bytes:
        line = self._buffered.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise http.client.LineTooLong("a line of the answer")
        return line


def _length(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > LENGTH_DIGITS:
        raise http.client.HTTPException("The answer's length is no length.")
    return int(text)
