"""An HTTP answer as it comes over a connection, within limits of time and size.

A socket's timeout begins anew with every byte that comes, so what drips in would never be over; and no parser bounds
how many announcements and trailers it skips.
"""

from __future__ import annotations

import socket
import time

import httptools

from comfybridge.deadline import Deadline

# Bytes of a head, or of what else is read in one step: no server needs a tenth of it, beside the body itself.
MOST_IN_STEP = 1024 * 1024
HEAD_BYTES = 64 * 1024  # that are read at a time, while the head is not there
CONTINUE, FIRST_FINAL = 100, 200
TLS_ALERT = b"\x15\x03"  # what a server says to a client that does not begin to encrypt


class BadAnswer(Exception):
    """What came is no HTTP answer. The message says why, and follows the server's name: "answers with ..."."""


class EndedEarly(BadAnswer):
    """The connection was closed before the end of the answer."""


class NotHTTP(BadAnswer):
    """What came is something else."""


def patience(silence: float, deadline: Deadline | None) -> float:
    """Seconds to wait from now on: as long as silence is taken, and no longer than there is time."""
    return silence if deadline is None else min(silence, deadline.remaining())


class Incoming:
    """The answer that comes next over a connection, which stays open.

    It is read in steps, such as its head, or a piece of its body: each has `patience` to come, else reading raises
    TimeoutError, and must not take more than `MOST_IN_STEP` bytes, else it raises BadAnswer. Reading raises OSError
    where the connection breaks.

    Attributes:
        status: the HTTP status, once the head has been read.
        headers: by names in small letters; the values of several with one name are joined by a comma.
        length: bytes of the body that have not been read; None if the server does not say.
        is_whole: whether all of it has come.
        has_excess: whether more came than the answer, so far.
        keeps_open: whether the connection can be used for another request, once the answer is whole.
    """

    def __init__(self, connection: socket.socket, silence: float, deadline: Deadline | None) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.length: int | None = None
        self.is_whole = False
        self.has_excess = False
        self.keeps_open = False
        self._connection = connection
        self._silence = silence
        self._deadline = deadline
        self._until: float | None = None  # when the step must be over, once it needs what is not there yet
        self._in_step = 0
        self._pieces: list[bytes] = []
        self._is_broken = False  # the body goes on in no way that can be understood
        self._parser = httptools.HttpResponseParser(self)

    def read_head(self) -> None:
        """Read the head.

        Raises:
            TimeoutError, OSError, BadAnswer
        """
        while self.status < FIRST_FINAL and not self._is_switching:
            if not self._feed(HEAD_BYTES):
                raise EndedEarly("closed the connection without an answer")

    def read_some(self, most: int) -> bytes:
        """Some of the body, blocking for it; nothing at its end.

        Args:
            most: bytes at most.

        Raises:
            TimeoutError, OSError, BadAnswer
        """
        self._until = None
        self._in_step = 0
        while not self._pieces and not self.is_whole:
            if self._is_broken or not self._feed(most):
                if self._is_broken or not self._ends_with_connection:
                    raise EndedEarly("cut its answer off in the middle")
                self.is_whole = True
        data = self._pieces.pop() if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if len(data) > most:
            self._pieces.append(data[most:])
            data = data[:most]
        if self.length is not None:
            self.length -= len(data)
        return data

    def look_for_excess(self) -> None:
        """See whether a further byte is there at the moment; it is lost then."""
        if not self.has_excess:
            try:
                self._connection.settimeout(0)
                self.has_excess = bool(self._connection.recv(1))
            except OSError:
                pass

    @property
    def _is_switching(self) -> bool:
        return FIRST_FINAL > self.status > CONTINUE

    @property
    def _ends_with_connection(self) -> bool:
        return "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def _feed(self, most: int) -> bool:
        """Take in what comes next; whether anything did."""
        data = self._receive(most)
        if not data:
            return False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            if self.is_whole:
                self.has_excess = True
            elif self.status >= FIRST_FINAL:  # what came of the body before that can be read
                self._is_broken = True
            else:
                raise self._not_understood(data, error) from None
        encoding = self.headers.get("transfer-encoding", "chunked")
        if encoding.lower() != "chunked":  # the parser would read on to the end of the connection
            raise BadAnswer("answers with a Transfer-Encoding other than chunked")
        self._in_step += len(data)
        if self._in_step > MOST_IN_STEP and not self._pieces:
            raise BadAnswer("answers with a head, or an end, that is too long")
        return True

    def _not_understood(self, data: bytes, error: httptools.HttpParserError) -> BadAnswer:
        if self._parser.get_status_code():  # its first line was one of HTTP
            return BadAnswer(f"answers with malformed HTTP ({error})")
        if data.startswith(TLS_ALERT):
            return NotHTTP("speaks TLS, so COMFYUI_URL must begin with https://")
        return NotHTTP("answers with something that is not HTTP")

    def _receive(self, most: int) -> bytes:
        deadline = self._deadline
        if deadline is None:
            return self._receive_in_time(most)
        deadline.blocked_on = self._connection
        try:
            if deadline.is_cut:
                raise TimeoutError
            return self._receive_in_time(most)
        finally:
            deadline.blocked_on = None

    def _receive_in_time(self, most: int) -> bytes:
        if self._until is None:
            left = patience(self._silence, self._deadline)
            self._until = time.monotonic() + left
        else:
            left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv(most)

    # -- called by the parser ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.is_whole:
            self.has_excess = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status >= FIRST_FINAL:  # a trailer, or what is in excess
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        if self.status >= FIRST_FINAL:
            return
        self.status = self._parser.get_status_code()
        self.keeps_open = self._parser.should_keep_alive()
        if self.status == CONTINUE:
            self.headers.clear()
        elif "content-length" in self.headers:
            self.length = int(self.headers["content-length"])

    def on_body(self, body: bytes) -> None:
        if not self.is_whole:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = self.status >= FIRST_FINAL
