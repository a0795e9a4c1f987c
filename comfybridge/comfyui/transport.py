"""How HTTP requests get to ComfyUI: over connections that are kept alive, without a session around them.

Every request of a caller takes two calls to ComfyUI, and in `requests`, a call takes longer to prepare than to make:
0.45 ms of CPU where 16 callers are served at once, against 0.15 ms here. So what is the same for all calls (headers,
certificates, the environment's proxies) is settled once, and nothing is done that ComfyUI does not need: no redirect
is followed, no cookie kept, no .netrc file read.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from comfybridge.address import ServerAddress
from comfybridge.comfyui.failures import (
    CallFailed,
    CutOff,
    HungUp,
    MakesNoSense,
    NoAnswerInTime,
    NotConnected,
    TooLong,
)
from comfybridge.comfyui.head import TARGET, fields_of, host_field
from comfybridge.comfyui.incoming import BadAnswer, EndedEarly, Incoming, NotHTTP, patience
from comfybridge.comfyui.route import SHORTEST_SILENCE, Route, proxy_fields
from comfybridge.deadline import Deadline

BLOCK = 64 * 1024  # of a file that is sent
# Networks silently drop idle connections.
IDLE_SECONDS = 30.0
AS_IT_IS = "!#$%&'()*+,/:;=?@[]~"  # characters that are not escaped in a path


class Readable(Protocol):
    """A body that is read as it is sent."""

    def read(self, most: int, /) -> bytes:
        """Some more of it; nothing at its end."""


class Answer:
    """A server's answer, whose body is read on demand. Close it, or use it in a `with`.

    Args:
        incoming: its head has been read, and nothing of its body.

    Attributes:
        method, path: of the call, without the query.
        status: the HTTP status.
    """

    def __init__(
        self, transport: Transport, connection: socket.socket, incoming: Incoming, method: str, path: str
    ) -> None:
        self.method = method
        self.path = path
        self.status = incoming.status
        self._transport = transport
        self._connection: socket.socket | None = connection
        self._incoming = incoming

    @property
    def length(self) -> int | None:
        """Bytes of the body that have not been read; None if the server does not say."""
        return self._incoming.length

    def header(self, name: str) -> str:
        """A header's value; empty if it is not there."""
        return self._incoming.headers.get(name.lower(), "")

    def read(self, most: int) -> bytes:
        """The whole body, of at most a number of bytes.

        Raises:
            CallFailed: it does not come, or not whole, or not by the deadline.
            TooLong: it has more bytes.
        """
        pieces: list[bytes] = []
        size = self.length or 0  # told beforehand, or seen as it comes
        while size <= most:
            piece = self.read_some(BLOCK)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            if self.length is None:
                size += len(piece)
        self._drop()
        raise TooLong(f"answers with more than {most} bytes")

    def read_some(self, most: int) -> bytes:
        """Up to `most` bytes of the body, blocking for the first; nothing at its end.

        Raises:
            CallFailed: it does not come, or not by the deadline, or not whole.
        """
        try:
            return self._incoming.read_some(most)
        except TimeoutError:
            self._drop()
            raise NoAnswerInTime("does not answer") from None
        except (OSError, BadAnswer):
            self._drop()
            raise CutOff("cut its answer off in the middle") from None

    def check_length(self) -> None:
        """Refuse a body, read to its end, behind which more came than was announced.

        Raises:
            MakesNoSense
        """
        self._incoming.look_for_excess()
        if self._incoming.has_excess:
            self._drop()
            raise MakesNoSense("answers with more bytes than it announces")

    def close(self) -> None:
        """Keep the connection if everything has been read, else drop it. May be called twice."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        incoming = self._incoming
        if incoming.is_whole and incoming.keeps_open and not incoming.has_excess:
            self._transport.keep(connection)
        else:
            connection.close()

    def _drop(self) -> None:
        """Close the connection, because the beginning of a next answer would be unknown."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Transport:
    """Connections to one server. Safe to share between threads.

    Args:
        address: where it is, and what every request carries.
        most_idle: connections that are kept alive.

    Attributes:
        route: how connections are made.
    """

    def __init__(self, address: ServerAddress, most_idle: int) -> None:
        self.route = Route(address)
        parts = urlsplit(address.url)
        self._target = quote(parts.path, safe=AS_IT_IS)
        headers = {"Host": host_field(parts.netloc), "User-Agent": "comfybridge", "Accept": "*/*"}
        headers |= {"Accept-Encoding": "identity"}
        if self.route.proxy is not None and self.route.is_proxied_plainly:
            self._target = f"http://{host_field(parts.netloc)}{self._target}"
            headers |= proxy_fields(self.route.proxy)
        given = {name.lower() for name in address.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in given}
        self._fields = fields_of({**headers, **address.headers})
        self._idle: deque[tuple[socket.socket, float]] = deque(maxlen=most_idle)  # with when they were last used

    def send(
        self,
        method: str,
        path: str,
        timeout: tuple[float, float],
        *,
        deadline: Deadline | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        file: tuple[Readable, int] | None = None,
    ) -> Answer:
        """Send a request.

        Args:
            timeout: seconds to connect, and for the server's silence: its head must come whole in that time, and of
                its body something whenever some is read.
            deadline: by when all must be over, up to the end of the body; None: as long as something keeps coming.
            body: sent as JSON.
            file: sent as it is, with so many bytes.

        Raises:
            CallFailed: it could not be sent, or nothing came back.
        """
        target = f"{self._target}{path}?{_query(query)}" if query else self._target + path
        head = self._head(method, target, fields_of(headers) if headers else b"")
        data: bytes | Readable | None = None
        if body is not None:
            data = json.dumps(body).encode()
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(data)
        elif file is not None:
            data, length = file
            head += b"Content-Length: %d\r\n" % length
        head += b"\r\n"
        connect, silence = timeout
        connection = self._idle_connection()
        if connection is not None:
            try:
                return self._exchange(connection, method, path, head, data, silence, deadline)
            except HungUp:  # it may have been closed just now; but what may have been heard is not said twice
                if method != "GET":
                    raise
        connection = self.route.connect(patience(connect, deadline))
        return self._exchange(connection, method, path, head, data, silence, deadline)

    def keep(self, connection: socket.socket) -> None:
        """Use a connection again."""
        if len(self._idle) == self._idle.maxlen:
            connection.close()
        else:
            self._idle.append((connection, time.monotonic()))

    def close(self) -> None:
        """Close the kept-alive connections."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop()[0].close()

    def _head(self, method: str, target: str, fields: bytes | None) -> bytes:
        if self._fields is None or fields is None or not TARGET.fullmatch(target):
            raise NotConnected("cannot be asked: its address or a header has a character that HTTP cannot carry")
        return b"%s %s HTTP/1.1\r\n%s%s" % (method.encode(), target.encode(), self._fields, fields)

    def _exchange(
        self,
        connection: socket.socket,
        method: str,
        path: str,
        head: bytes,
        data: bytes | Readable | None,
        silence: float,
        deadline: Deadline | None,
    ) -> Answer:
        try:
            with _errors_named():
                try:
                    _send(connection, head, data, silence, deadline)
                except ConnectionError:
                    if data is None:
                        raise
                    # a body that it does not want; it may have said why
                incoming = Incoming(connection, silence, deadline)
                incoming.read_head()
            if incoming.headers.get("content-encoding", "identity") != "identity":
                raise CallFailed("compresses its answer unasked (is it a proxy in front of it?)")
            if incoming.status < 200:  # the answer itself comes later, and would be taken for the next one's
                raise CallFailed(f"announces its answer with HTTP {incoming.status}, which is not supported")
            if incoming.status >= 400 and data is not None:
                incoming.keeps_open = False  # it may not have read all of what was sent
        except BaseException:
            connection.close()
            raise
        return Answer(self, connection, incoming, method, path)

    def _idle_connection(self) -> socket.socket | None:
        """A connection that was used before and is still open, if there is one."""
        while True:
            try:
                connection, last_used = self._idle.pop()
            except IndexError:
                return None
            # one that can be read has nothing to say but goodbye
            if time.monotonic() - last_used < IDLE_SECONDS and not _is_readable(connection):
                return connection
            connection.close()


@contextlib.contextmanager
def _errors_named() -> Iterator[None]:
    """Names the errors of a connection that is open."""
    try:
        yield
    except TimeoutError:
        raise NoAnswerInTime("does not answer") from None
    except (EndedEarly, NotHTTP) as error:
        raise HungUp(str(error)) from None
    except BadAnswer as error:
        raise MakesNoSense(str(error)) from None
    except OSError:
        raise HungUp("closed the connection without an answer") from None


def _query(query: Mapping[str, str]) -> str:
    """The query of an address; its names are ours."""
    return "&".join([f"{name}={quote(value)}" for name, value in query.items()])


def _send(
    connection: socket.socket,
    head: bytes,
    data: bytes | Readable | None,
    silence: float,
    deadline: Deadline | None,
) -> None:
    connection.settimeout(max(patience(silence, deadline), SHORTEST_SILENCE))
    if isinstance(data, bytes) and len(data) < BLOCK:
        connection.sendall(head + data)
        return
    connection.sendall(head)
    if isinstance(data, bytes):
        connection.sendall(data)
    elif data is not None:
        while block := data.read(BLOCK):
            connection.settimeout(max(patience(silence, deadline), SHORTEST_SILENCE))
            connection.sendall(block)


def _is_readable(opened: socket.socket) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([opened], [], [], 0)[0])
    poll = select.poll()
    poll.register(opened, select.POLLIN)
    return bool(poll.poll(0))
