"""A scripted HTTP server on this machine: tests set the answer to each request, and requests are recorded.

It uses real sockets, so that tests can cut connections, keep them, or leave them silent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

CERTIFICATE = Path(__file__).parent.parent / "certificates" / "localhost.pem"
PATIENCE = 20  # seconds, for events that should happen at once


@dataclass
class Request:
    """A recorded request.

    Attributes:
        target: path and query as received; a whole URL if it was sent to a proxy.
        connection: the number of its connection, from 1.
    """

    method: str
    target: str
    headers: http.client.HTTPMessage
    connection: int
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass
class Call:
    """A request that is being answered.

    Attributes:
        over: set when the server ends, so that silent answers do not outlive the test.
    """

    request: Request
    over: threading.Event
    stream: socket.socket
    incoming: BinaryIO
    is_open: bool = True

    def take_body(self) -> None:
        """Read the request's body."""
        self.request.body += self.incoming.read(int(self.request.headers.get("Content-Length", "0")))

    def send(self, data: bytes) -> None:
        self.stream.sendall(data)

    def hang_up(self) -> None:
        """Close the connection."""
        self.is_open = False

    def break_connection(self) -> None:
        """Close the connection with a reset, as the kernel does if a program is killed."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_open = False

    def encrypt(self) -> None:
        """Speak TLS from now on."""
        self.incoming.close()
        self.stream = server_context().wrap_socket(self.stream, server_side=True)
        self.incoming = self.stream.makefile("rb")


Behaviour = Callable[[Call], None]


def message(
    body: bytes = b"", *, status: int = 200, headers: Mapping[str, str] | None = None, length: int | None = None
) -> bytes:
    """An answer as sent over the wire, with the claimed length, or the real one by default."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def reply(
    body: bytes | str = b"", *, json_body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Answers, and keeps the connection open."""
    content = body.encode() if isinstance(body, str) else body
    if json_body is not None:
        content = json.dumps(json_body).encode()
    return raw(message(content, status=status, headers=headers))


def raw(data: bytes) -> Behaviour:
    """Sends just these bytes, and keeps the connection open."""

    def answer(call: Call) -> None:
        call.take_body()
        call.send(data)

    return answer


def and_close(behaviour: Behaviour) -> Behaviour:
    """Closes the connection after that, without announcing it."""

    def answer(call: Call) -> None:
        behaviour(call)
        call.hang_up()

    return answer


def early(data: bytes) -> Behaviour:
    """Sends these bytes without reading the body that is sent, and closes the connection."""

    def answer(call: Call) -> None:
        call.send(data)
        call.hang_up()

    return answer


def and_reset(behaviour: Behaviour) -> Behaviour:
    """Resets the connection after that."""

    def answer(call: Call) -> None:
        behaviour(call)
        call.break_connection()

    return answer


def hang_up(call: Call) -> None:
    """Closes the connection without an answer."""
    call.take_body()
    call.hang_up()


def silent(call: Call) -> None:
    """Sends nothing for as long as the server runs."""
    call.take_body()
    call.over.wait()


def dripping(data: bytes, seconds: float, at_once: bytes = b"") -> Behaviour:
    """Sends some bytes at once, and others one by one with a pause before each."""

    def answer(call: Call) -> None:
        call.take_body()
        call.send(at_once)
        for byte in data:
            call.send(bytes([byte]))
            if call.over.wait(seconds):
                return

    return answer


def endless(at_once: bytes, again: bytes, seconds: float = 0) -> Behaviour:
    """Sends some bytes, and then others repeatedly with pauses, until the client leaves."""

    def answer(call: Call) -> None:
        call.take_body()
        call.send(at_once)
        while not call.over.wait(seconds):
            call.send(again)
        call.hang_up()

    return answer


def tunnel(call: Call) -> None:
    """Accepts a CONNECT as a proxy, with a tunnel to this server, which speaks TLS from then on."""
    call.send(b"HTTP/1.1 200 Connected\r\n\r\n")
    call.encrypt()


def server_context() -> ssl.SSLContext:
    """TLS with the certificate of localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
    return context


@dataclass
class Script:
    """The answers to one kind of request, in order; the last one repeats."""

    behaviours: list[Behaviour] = field(default_factory=list)
    asked: int = 0

    def next(self) -> Behaviour:
        self.asked += 1
        return self.behaviours[min(self.asked, len(self.behaviours)) - 1]


class Exchange:
    """The server. Leaving its `with` fails if a request had no answer, or an answer no request.

    Attributes:
        url: its address, without a slash at the end.
        requests: the recorded requests, in order.
        connections: how many were made.
    """

    def __init__(self, *, host: str = "127.0.0.1", is_https: bool = False) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._scripts: dict[tuple[str, str], Script] = {}
        self._unexpected: list[str] = []
        self._is_https = is_https
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family, backlog=128)
        self.port = self._listening.getsockname()[1]
        self.place = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"{'https' if is_https else 'http'}://{self.place}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def on(self, method: str, path: str, *behaviours: Behaviour) -> None:
        """Set a further answer to a request."""
        with self._lock:
            self._scripts.setdefault((method, path), Script()).behaviours += behaviours

    def get(self, path: str, body: bytes | str = b"", **answer: Any) -> None:
        """Set an answer to a GET; see `reply`."""
        self.on("GET", path, reply(body, **answer))

    def post(self, path: str, body: bytes | str = b"", **answer: Any) -> None:
        """Set an answer to a POST; see `reply`."""
        self.on("POST", path, reply(body, **answer))

    def asked(self) -> list[tuple[str, int]]:
        """The targets of the requests, each with its connection number."""
        return [(request.target, request.connection) for request in self.requests]

    def close(self) -> None:
        """Close all connections."""
        self._over.set()
        with socket.socket(self._listening.family) as knock:  # wakes the accepting thread
            knock.connect(self._listening.getsockname())
        self._threads[0].join(PATIENCE)
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listening.close()

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            assert not self._unexpected, f"nobody expected {self._unexpected}"
            unused = [what for what, script in self._scripts.items() if script.asked < len(script.behaviours)]
            assert not unused, f"nobody asked for {unused}"

    def _accept(self) -> None:
        while True:
            stream, _ = self._listening.accept()
            if self._over.is_set():
                stream.close()
                return
            with self._lock:
                self.connections += 1
                self._open.add(stream)
            thread = threading.Thread(target=self._serve, args=[stream, self.connections])
            self._threads.append(thread)
            thread.start()

    def _serve(self, stream: socket.socket, number: int) -> None:
        raw_stream = stream
        try:
            with contextlib.suppress(OSError):  # clients that hang up are part of the tests
                if self._is_https:
                    with self._lock:
                        self._open.discard(raw_stream)
                        stream = server_context().wrap_socket(stream, server_side=True, do_handshake_on_connect=False)
                        self._open.add(stream)
                    stream.do_handshake()  # type: ignore[attr-defined]
                stream = self._converse(stream, number)
        finally:
            with self._lock:
                self._open -= {raw_stream, stream}
            stream.close()

    def _converse(self, stream: socket.socket, number: int) -> socket.socket:
        incoming: BinaryIO = stream.makefile("rb")
        try:
            while line := incoming.readline():
                method, target, _ = line.decode("ascii").split(" ")
                request = Request(method, target, http.client.parse_headers(incoming), number)
                call = Call(request, self._over, stream, incoming)
                self._behaviour(request)(call)
                if call.stream is not stream:
                    stream, incoming = call.stream, call.incoming
                    with self._lock:
                        self._open.add(stream)
                if not call.is_open:
                    break
        except OSError:
            pass  # a client that hung up
        finally:
            with contextlib.suppress(OSError):
                incoming.close()
        return stream

    def _behaviour(self, request: Request) -> Behaviour:
        with self._lock:
            self.requests.append(request)
            script = self._scripts.get((request.method, request.path))
            if script is None:
                self._unexpected.append(f"{request.method} {request.target}")
                return reply(status=501)
            return script.next()
