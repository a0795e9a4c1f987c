"""From the bytes that a caller sends to whole requests, without ever waiting. gunicorn's parser reads the heads."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from gunicorn.http import Request, errors
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import FileWrapper, proxy_environ

from comfybridge.serving.bodies import MOST_IN_MEMORY, Body, Chunks, LimitsOf, too_large
from comfybridge.serving.refusals import BAD_REQUEST, LONGEST_HEAD, Refused, path_in

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST_LINE = 4096  # characters of a request line that are looked at where it is refused

Admits = Callable[["WSGIEnvironment"], bool]


@dataclass(frozen=True)
class Terms:
    """What a server takes.

    Attributes:
        cfg: gunicorn's configuration.
        limits: of a body, by the head.
        admits: tells from a head whether the body is to be waited for.
    """

    cfg: Any
    limits: LimitsOf
    admits: Admits


class Incoming:
    """A request that has come, or is coming.

    Attributes:
        head: as gunicorn read it.
        environ: for the application.
        is_refused: whether its body is not taken: it is answered by its head, and its connection closed.
    """

    __slots__ = ("_body", "environ", "head", "is_refused")

    def __init__(self, head: Any, environ: WSGIEnvironment) -> None:
        self.head = head
        self.environ = environ
        self.is_refused = False
        self._body: Body | None = None

    @property
    def is_large(self) -> bool:
        """Whether its body is in a file."""
        return self._body is not None and self._body.size > MOST_IN_MEMORY

    def close(self) -> None:
        """Let go of its body."""
        if self._body is not None:
            self._body.close()


class Reader:
    """Reads the requests of one connection.

    Args:
        address: the caller's, as `accept` gives it.
        place: the address that it called.

    Attributes:
        has_begun: whether a part of a request has come.
        is_interrupted: whether it has more to read already: feed it b"" after the other readers have had their turn.
        wants_continue: whether the caller waits for "100 Continue" before it sends the body; to be reset.
        body_bytes: how much has come of the current body; None where there is none yet.
    """

    def __init__(self, terms: Terms, address: Any, place: Any) -> None:
        self._terms = terms
        self._address = address
        self._place = place
        self._buffer = bytearray()
        self._head = b""  # while it is being read
        self._number = 0
        self._proxied: dict[str, Any] = {}
        self._incoming: Incoming | None = None
        self._left: int | None = None  # bytes of a body whose length was announced
        self._chunks: Chunks | None = None
        self.is_interrupted = self.wants_continue = False

    @property
    def has_begun(self) -> bool:
        return bool(self._buffer) or self._incoming is not None

    @property
    def body_bytes(self) -> int | None:
        body = None if self._incoming is None else self._incoming._body
        return None if body is None else body.size

    @property
    def path(self) -> str:
        """The path of the current request, as far as it has come and can be read."""
        if self._incoming is not None:
            path: str = self._incoming.environ["PATH_INFO"]
            return path
        return _path_below(path_in(self._head or bytes(self._buffer[:LONGEST_LINE])))[1]

    def feed(self, data: bytes) -> Incoming | None:
        """Take what has come; the request that is whole with it, if one is. What follows it waits for another call.

        Raises:
            Refused: the connection is to be closed.
        """
        self._buffer += data
        self.is_interrupted = False
        incoming = self._incoming
        if incoming is None:
            incoming = self._incoming = self._begin()
            if incoming is None:
                return None
        elif incoming._body is None:
            self._admit(incoming)
        if incoming.is_refused or self._has_body(incoming):
            self._incoming = None
            return incoming
        return None

    def close(self) -> None:
        """Let go of what has come."""
        if self._incoming is not None:
            self._incoming.close()
            self._incoming = None

    # -- heads ---------------------------------------------------------------------------------------------------

    def _begin(self) -> Incoming | None:
        """Begin a request, if its head has come."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or end > LONGEST_HEAD:
            self._check_beginning()
            return None
        raw = self._head = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        self._number += 1
        try:
            head = Request(self._terms.cfg, IterUnreader([raw]), self._address, self._number)
        except Exception as error:
            raise refusal_of(error) from None
        incoming = Incoming(head, self._environ(head))
        self._expect_body(incoming)
        self._head = b""
        return incoming

    def _check_beginning(self) -> None:
        buffer = self._buffer
        if b"\n\n" in buffer or (b"\n\r\n" in buffer and b"\r\n\r\n" not in buffer):
            raise Refused(*BAD_REQUEST, "A line of the head ends without a carriage return.")
        if len(buffer) > LONGEST_HEAD:
            is_line = not 0 <= buffer.find(b"\r\n") <= LONGEST_HEAD
            what = (
                "The request line is too long." if is_line else "The request has too many headers, or too long ones."
            )
            raise Refused(414 if is_line else 431, "too_large", what)

    def _environ(self, head: Any) -> WSGIEnvironment:
        if self._number == 1:
            self._proxied = proxy_environ(head)
        return {**environ_of(head, self._address, self._place), **self._proxied}

    # -- bodies --------------------------------------------------------------------------------------------------

    def _expect_body(self, incoming: Incoming) -> None:
        """Find out how the body ends, and whether it is to be taken.

        Raises:
            Refused: the head says something about it that can't be.
        """
        environ, terms = incoming.environ, self._terms
        head = incoming.head
        if head.version >= (1, 1) and "HTTP_HOST" not in environ:
            raise Refused(*BAD_REQUEST, "A request in HTTP/1.1 needs a Host header.")
        if not head.uri.startswith("/") and (host := urlsplit(head.uri).netloc):
            environ["HTTP_HOST"] = host  # RFC 9112, 3.2.2: the one in an absolute URI replaces the header
        coding = environ.pop("HTTP_TRANSFER_ENCODING", None)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if coding is not None and coding.lower() != "chunked":
            raise Refused(501, "invalid_request", "The Transfer-Encoding is not supported; it can be chunked.")
        self._left, self._chunks = (None, Chunks()) if coding is not None else (length, None)
        environ["wsgi.input"] = io.BytesIO()
        if self._left == 0:
            return
        limits = terms.limits(environ)
        if self._left is not None and len(self._buffer) >= self._left and self._left <= limits.most:
            incoming._body = Body(limits.most, limits.budget)
        else:
            self.is_interrupted = True  # to ask the application takes a while

    def _admit(self, incoming: Incoming) -> None:
        """Find out whether a body that has not come yet is wanted.

        An application that knows its limits refuses one that is too large itself, in its own words.

        Raises:
            Refused: it is too large, or there is no room for it now.
        """
        terms, environ = self._terms, incoming.environ
        incoming.is_refused = not terms.admits(environ)
        if incoming.is_refused:
            return
        limits = terms.limits(environ)
        if self._left is not None and self._left > limits.most:
            raise too_large(limits.most)
        if self._left is not None and self._left > MOST_IN_MEMORY:
            limits.budget.check(self._left)
        incoming._body = Body(limits.most, limits.budget)
        # whether it is in the head, is for gunicorn to refuse
        self.wants_continue = "HTTP_EXPECT" in environ and incoming.head.version >= (1, 1) and not self._buffer

    def _has_body(self, incoming: Incoming) -> bool:
        """Read what has come of the body; returns whether the body is whole."""
        body, buffer = incoming._body, self._buffer
        if body is None:
            return self._left == 0
        if self._chunks is not None:
            if not self._chunks.take(buffer, body.write):
                self.is_interrupted = self._chunks.is_interrupted
                return False
        else:
            assert self._left is not None
            with memoryview(buffer) as view, view[: self._left] as piece:
                body.write(piece)
                count = len(piece)
            del buffer[:count]
            self._left -= count
            if self._left:
                return False
        body.rewind()
        incoming.environ["wsgi.input"] = body.file
        incoming.environ["CONTENT_LENGTH"] = str(body.size)
        return True


# What gunicorn's parser raises; the most special classes first. Its own sentences quote what they are about.
_PARSING: tuple[tuple[type[Exception], int, str, str], ...] = (
    (errors.LimitRequestLine, 414, "too_large", "The request line is too long."),
    (errors.LimitRequestHeaders, 431, "too_large", "The request has too many headers, or too long ones."),
    (
        errors.ExpectationFailed,
        417,
        "invalid_request",
        "Expect can be 100-continue, and nothing else.",
    ),
    (errors.UnsupportedTransferCoding, 501, "invalid_request", "The Transfer-Encoding is not supported."),
    (errors.ForbiddenProxyRequest, 403, "forbidden", "This proxy may not use the PROXY protocol."),
    (errors.InvalidRequestLine, *BAD_REQUEST, "The request line is malformed."),
    (errors.InvalidRequestMethod, *BAD_REQUEST, "The request's method is malformed."),
    (errors.InvalidHTTPVersion, *BAD_REQUEST, "The version of HTTP is not supported."),
    (errors.InvalidHeaderName, *BAD_REQUEST, "The name of a header is malformed."),
    (errors.InvalidHeader, *BAD_REQUEST, "A header is malformed, or contradicts another one."),
    (errors.ObsoleteFolding, *BAD_REQUEST, "A header is continued on a second line, which HTTP no longer allows."),
)


def refusal_of(error: Exception) -> Refused:
    """The refusal for what gunicorn's parser raised on a head."""
    for kind, status, type, sentence in _PARSING:
        if isinstance(error, kind):
            return Refused(status, type, sentence)
    return Refused(*BAD_REQUEST, "The HTTP request is malformed.")


# -- for the application -------------------------------------------------------------------------------------------

_BASE: WSGIEnvironment = {
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    "wsgi.input_terminated": True,
    "SERVER_SOFTWARE": "gunicorn",
}


def environ_of(head: Any, address: Any, place: Any) -> WSGIEnvironment:
    """The environment of PEP 3333, but for the body.

    Args:
        head: as gunicorn read it.
        address: the caller's; no pair where it came over a Unix socket.
        place: the one that was called.
    """
    environ = _BASE.copy()
    for name, value in head.headers:
        if "_" in name:
            continue  # SCRIPT_NAME, say; and X_REAL_IP would pass for X-Real-IP
        key = name.replace("-", "_")
        if name not in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            key = "HTTP_" + key
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ["SCRIPT_NAME"], environ["PATH_INFO"] = _path_below(head.path)
    environ["QUERY_STRING"] = head.query
    environ["RAW_URI"] = head.uri
    environ["REQUEST_METHOD"] = head.method
    environ["SERVER_PROTOCOL"] = f"HTTP/{head.version[0]}.{head.version[1]}"
    environ["wsgi.url_scheme"] = head.scheme
    if isinstance(address, tuple):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = address[0], str(address[1])
    else:
        environ["REMOTE_ADDR"] = ""
    if isinstance(place, tuple):
        environ["SERVER_NAME"], environ["SERVER_PORT"] = place[0], str(place[1])
    else:
        environ["SERVER_NAME"], environ["SERVER_PORT"] = "localhost", "443" if head.scheme == "https" else "80"
    return environ


def _path_below(path: str) -> tuple[str, str]:
    """The prefix below which the application is, and the rest of a path, unquoted."""
    prefix = os.environ.get("SCRIPT_NAME", "")
    prefix = prefix if path.startswith(prefix) else ""
    return prefix, unquote_to_bytes(path[len(prefix) :]).decode("latin-1")
