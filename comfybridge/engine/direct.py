"""Calls of the engine over plain sockets, each in the thread that wants the answer.

For the bridge's own server, which is on this machine: a call costs a fifth of what it costs by way of the loop's
connection, which alone knows of TLS, websockets and lost servers. What fails here is therefore tried there.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from comfybridge.engine.connection import NOBODY, Lost, NobodyAnswers, Requests, status_of, too_large
from comfybridge.engine_address import PORT, EngineAddress

MOST = 16  # sockets, and so calls at once
IDLE_SECONDS = 60.0  # the server closes one that answers no ping for some minutes

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """The answer to a request."""

    data: bytes
    headers: Mapping[str, str]


class Direct:
    """The sockets to one server. Safe to share between threads."""

    def __init__(self, address: EngineAddress) -> None:
        self._address = address
        self._room = threading.Semaphore(MOST)
        self._idle: list[tuple[float, _Socket]] = []  # with when each was last used
        self._is_closed = False

    def run(self, work: Callable[[Requests], Awaitable[T]], seconds: float) -> T:
        """Do some work that only makes requests, and return what it returns.

        Raises:
            Lost: the server can't be reached, or the connection was lost meanwhile.
            asyncio.TimeoutError: it does not answer in time.
        """
        if not self._room.acquire(timeout=seconds):
            raise asyncio.TimeoutError
        try:
            used = self._taken(seconds)
            try:
                return _result(work(used))
            finally:
                if used.is_quiet and not self._is_closed:
                    self._idle.append((time.monotonic(), used))
                else:
                    used.close()
        except TimeoutError:
            raise asyncio.TimeoutError from None  # another class before Python 3.11
        finally:
            self._room.release()

    def close(self) -> None:
        """Begin no more calls; those under way end by themselves."""
        self._is_closed = True
        while self._idle:
            self._idle.pop()[1].close()

    def _taken(self, seconds: float) -> _Socket:
        while not self._is_closed:
            try:
                used_at, idle = self._idle.pop()
            except IndexError:
                return _Socket(self._address, seconds)
            if time.monotonic() - used_at < IDLE_SECONDS:
                idle.wait_at_most(seconds)
                return idle
            idle.close()
        raise Lost


class _Socket(Requests):
    """One connection, for one request at a time.

    Attributes:
        is_quiet: whether no answer is outstanding.
    """

    def __init__(self, address: EngineAddress, seconds: float) -> None:
        parts = urlsplit(address.url)
        self.is_quiet = True
        self._seconds = seconds
        self._inbox = f"{address.inbox}.{uuid.uuid4().hex}"
        try:
            self._socket = socket.create_connection((parts.hostname, parts.port or PORT), seconds)
        except TimeoutError:
            raise
        except OSError:
            raise Lost from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")
        self._most = self._greet(address)

    def wait_at_most(self, seconds: float) -> None:
        """How long to wait for each answer."""
        if seconds != self._seconds:
            self._socket.settimeout(seconds)
            self._seconds = seconds

    def close(self) -> None:
        """Close it. Never raises."""
        self._lines.close()
        self._socket.close()

    async def request(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """As `Connection.request`; blocks."""
        if len(data) > self._most:
            raise too_large(self._most, len(data))
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode()
        sizes = f"{len(head)} {len(head) + len(data)}"
        self.is_quiet = False
        try:
            self._socket.sendall(f"HPUB {subject} {self._inbox} {sizes}\r\n".encode() + head + data + b"\r\n")
            reply = self._reply()
        except TimeoutError:
            raise
        except (OSError, ValueError):
            raise Lost from None
        self.is_quiet = True
        if status_of(reply) == NOBODY:
            raise NobodyAnswers(subject)
        return reply

    def _greet(self, address: EngineAddress) -> int:
        """Say who this is; returns how many bytes a message may have."""
        try:
            info = json.loads(self._lines.readline().removeprefix(b"INFO "))
            if address.server not in (None, info.get("server_name")):
                raise Lost
            said = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python"}
            said |= {"version": "1", "protocol": 1, "name": "comfybridge", "auth_token": address.token}
            self._socket.sendall(f"CONNECT {json.dumps(said)}\r\nSUB {self._inbox} 1\r\n".encode())
            return int(info["max_payload"])
        except TimeoutError:
            self.close()
            raise
        except (OSError, ValueError, KeyError, Lost):
            self.close()
            raise Lost from None

    def _reply(self) -> Reply:
        while True:
            operation, *rest = self._lines.readline().split()
            if operation == b"HMSG":
                return self._message(int(rest[-2]), int(rest[-1]))
            if operation == b"MSG":
                return self._message(0, int(rest[-1]))
            if operation == b"PING":
                self._socket.sendall(b"PONG\r\n")
            elif operation not in (b"INFO", b"PONG", b"+OK"):
                raise ValueError(operation)

    def _message(self, head: int, size: int) -> Reply:
        message = self._lines.read(size + 2)
        if len(message) != size + 2:
            raise ValueError("cut off")
        first, *lines = message[:head].decode().split("\r\n") if head else [""]
        headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        status = first.removeprefix("NATS/1.0").split()
        return Reply(message[head:size], {"Status": status[0], **headers} if status else headers)


def _result(work: Awaitable[T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.__await__().send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise RuntimeError("it waits for something")
