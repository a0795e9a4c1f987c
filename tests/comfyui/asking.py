"""Sends calls through a transport."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from comfybridge.address import ServerAddress
from comfybridge.comfyui.transport import Transport
from tests.comfyui.exchange import (
    PATIENCE,
)

TIMEOUT = (5.0, float(PATIENCE))
GPU = "http://gpu.example:8188"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\n"
SIGNED_OFF = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd"
LARGE = 48 * 1024 * 1024  # more than the kernel buffers without a reader

Connect = Callable[..., Transport]


def ask(transport: Transport, path: str = "/a", method: str = "GET") -> bytes:
    """The answer, read to its end."""
    with transport.send(method, path, TIMEOUT, body={"x": 1} if method == "POST" else None) as answer:
        return answer.read(LARGE)


def drain(answer: object) -> bytes:
    """The body, read piece by piece."""
    return b"".join(iter(lambda: answer.read_some(4), b""))  # type: ignore[attr-defined]


def elsewhere(name: str = "localhost") -> ServerAddress:
    """An https address that counts as one on another machine."""
    return dataclasses.replace(ServerAddress.parse(f"https://{name}:8443", {"X-Secret": "s"}), is_loopback=False)
