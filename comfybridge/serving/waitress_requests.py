"""What the bridge adds to waitress: stricter heads, a limit on the bytes of all bodies, and threads for probes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error, RequestEntityTooLarge

from comfybridge.serving.bodies import Budget, LimitsOf
from comfybridge.serving.refusals import Refused, WriteRefusal, path_in, write_plainly

# The bridge's own names for what waitress refuses, by its status.
TYPES = {413: "too_large", 431: "too_large", 500: "internal_error", 503: "busy"}
ONCE = (b"\r\nhost:", b"\r\ntransfer-encoding:")


def be_strict(
    server: BaseWSGIServer,
    admits: Callable[[Any], bool],
    limits: LimitsOf,
    kept_back: Mapping[str, int],
    write_refusal: WriteRefusal = write_plainly,
) -> None:
    """Have waitress refuse what the gunicorn worker refuses, as far as it can.

    Args:
        admits: tells from a head whether the body is wanted; an unwanted body is discarded as it arrives.
        kept_back: how many threads are reserved for requests to a path.
        write_refusal: words what waitress refuses.
    """
    error = type("WordedError", (WordedError,), {"write_refusal": staticmethod(write_refusal)})
    parser = type("StrictRequest", (StrictRequest,), {"admits": staticmethod(admits), "limits": limits})
    server.channel_class = type(
        "StrictChannel", (StrictChannel,), {"parser_class": parser, "error_task_class": error}
    )
    server.task_dispatcher = Lanes(server.task_dispatcher, kept_back)


class Lanes:
    """Task dispatchers: one for each path with threads of its own, and one for all other requests."""

    def __init__(self, most: ThreadedTaskDispatcher, kept_back: Mapping[str, int]) -> None:
        self._most = most
        self._kept_back = {path: ThreadedTaskDispatcher() for path in kept_back}
        for path, dispatcher in self._kept_back.items():
            dispatcher.set_thread_count(kept_back[path])

    def add_task(self, channel: HTTPChannel) -> None:
        """Have a thread answer the next request of a connection."""
        self._kept_back.get(getattr(channel.requests[0], "path", ""), self._most).add_task(channel)

    def shutdown(self) -> None:
        """End all threads."""
        for each in (self._most, *self._kept_back.values()):
            each.shutdown()


class StrictChannel(HTTPChannel):  # type: ignore[misc]  # untyped
    """A caller's connection."""

    def handle_close(self) -> None:
        """Called when it ends. A thread may be at work for the first of its requests, and closes that one."""
        super().handle_close()
        for each in (*self.requests[1:], self.request):
            if each is not None:
                each.close()


class WordedError(ErrorTask):  # type: ignore[misc]  # untyped
    """Answers a request that waitress refuses."""

    write_refusal: WriteRefusal

    def execute(self) -> None:
        """Called in a thread."""
        error, path = self.request.error, self.request.path
        type = TYPES.get(error.code, "invalid_request")
        sentence = str(error.body)
        if not sentence.endswith("."):  # waitress's own are no sentences, and may repeat parts of the request
            sentence = "The HTTP request is malformed." if error.code == 400 else f"{error.reason}."
        status, headers, body = self.write_refusal(path, error.code, type, sentence, None)
        self.status = f"{status} {error.reason}"
        self.response_headers.extend([*headers.items(), ("Content-Type", "application/json")])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class StrictRequest(HTTPRequestParser):  # type: ignore[misc]  # untyped
    """A request that is arriving."""

    admits: Callable[[Any], bool]
    limits: LimitsOf
    error: Any
    _budget: Budget
    _taken = 0
    path = ""

    def parse_header(self, header_plus: bytes) -> None:
        """Called once the head has arrived.

        Raises:
            ParsingError: it is malformed.
        """
        self.path = path_in(header_plus)  # for a refusal; waitress reads it last
        lower = header_plus.lower()
        if b"\r\n " in lower or b"\r\n\t" in lower or any(lower.count(each) > 1 for each in ONCE):
            raise ParsingError("A header is continued on a second line, or is there twice.")
        try:
            super().parse_header(header_plus)
        except ValueError:  # Python refuses to read integers of thousands of digits
            raise ParsingError("The Content-Length is malformed.") from None
        headers = self.headers
        if self.version not in ("1.0", "1.1") or not (self.request_uri.isascii() and self.request_uri.isprintable()):
            raise ParsingError("The request line is malformed.")
        if self.version == "1.1" and "HOST" not in headers:
            raise ParsingError("A request in HTTP/1.1 needs a Host header.")
        if "TRANSFER_ENCODING" in headers or (self.chunked and "CONTENT_LENGTH" in headers):
            raise ParsingError("The length of the body is ambiguous.")
        if headers.get("EXPECT", "100-continue").lower() != "100-continue":
            raise ParsingError("Expect can be 100-continue, and nothing else.")
        if self.proxy_netloc:  # RFC 9112, 3.2.2: the host in an absolute URI replaces the header
            headers["HOST"] = self.proxy_netloc
        if self.body_rcv is not None:
            environ = self._environ()
            if not self.admits(environ):
                self.body_rcv.buf = Nothing()
            self._budget = self.limits(environ).budget

    def _environ(self) -> dict[str, Any]:
        """The part of a WSGI environment that the head determines."""
        named = {("" if name.startswith("CONTENT_") else "HTTP_") + name: each for name, each in self.headers.items()}
        return {
            **named,
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "wsgi.url_scheme": self.url_scheme,
            "wsgi.input": io.BytesIO(),
        }

    def received(self, data: bytes) -> int:
        """Take some of the bytes that have arrived; returns how many."""
        count: int = super().received(data)
        size, most = self.body_bytes_received, self.adj.max_request_body_size
        if getattr(self.body_rcv, "chunk_remainder", 0) > most:
            self.error = RequestEntityTooLarge("A chunk is too large.")
            self.completed = True
        if size > self._taken and not self.error and not isinstance(self.body_rcv.getbuf(), Nothing):
            try:
                self._budget.take(size - self._taken, size)
                self._taken = size
            except Refused as refusal:
                self.error = Error(refusal.sentence)
                self.error.code, self.error.reason = refusal.status, "Service Unavailable"
                self.completed = True
        return count

    def close(self) -> None:
        """Called once the request is answered, or its connection is closed before that."""
        super().close()
        taken, self._taken = self._taken, 0
        if taken:
            self._budget.give_back(taken)


class Nothing:
    """The buffer for a body that nobody wants: it keeps nothing."""

    def append(self, data: bytes) -> None:
        """Discard a piece."""

    def getfile(self) -> io.BytesIO:
        """An empty file."""
        return io.BytesIO()

    def close(self) -> None:
        """Do nothing: no file is open."""

    def __len__(self) -> int:
        return 0
