"""The heads of answers that the transport accepts."""

from __future__ import annotations

import socket

import pytest

from comfybridge.comfyui.failures import CallFailed, MakesNoSense
from tests.comfyui.asking import LARGE, TIMEOUT, Connect, ask
from tests.comfyui.exchange import (
    Exchange,
    and_close,
    raw,
)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200\r\ncontent-length:  4 \r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nX: \xff: \xfe\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"Content-Length: 4\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
    ],
    ids=["no reason", "odd headers", "many headers", "after a continue"],
)
def test_a_head_is_read_however_it_is_written(comfyui: Exchange, connect: Connect, head: bytes) -> None:
    comfyui.on("GET", "/a", raw(head + b"abcd"))
    with connect().send("GET", "/a", TIMEOUT) as answer:
        assert (answer.status, answer.length, answer.header("CONTENT-Length")) == (200, 4, "4")
        assert answer.read(LARGE) == b"abcd"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"HTTP/1.1 +20\r\n\r\n",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\n",
        b"HTTP/1.1 200 OK\r\nno header at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 1_100_000 + b"\r\n\r\n",
    ],
    ids=lambda head: repr(head[:34]),
)
def test_what_is_no_head_is_no_answer(comfyui: Exchange, connect: Connect, head: bytes) -> None:
    comfyui.on("GET", "/a", and_close(raw(head)))
    with pytest.raises(CallFailed, match=r"closed the connection without|that is not HTTP|malformed HTTP|too long"):
        ask(connect(), "/a")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (b"Content-Length: " + b"9" * 5000, r"malformed HTTP \(Content-Length overflow"),
        (b"Content-Length: +4", r"malformed HTTP \(Invalid character in Content-Length"),
        (b"Content-Length: -4", r"malformed HTTP \(Invalid character in Content-Length"),
        (b"Content-Length: 4, 4", r"malformed HTTP \(Invalid character in Content-Length"),
        (b"Content-Length: ", r"malformed HTTP \(Empty Content-Length"),
        (b"Content-Length: 4\r\ncontent-length: 4", r"malformed HTTP \(Duplicate Content-Length|present"),
        (b"Transfer-Encoding: gzip, chunked", "a Transfer-Encoding other than chunked"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "a Transfer-Encoding other than chunked"),
        (b"Transfer-Encoding: identity\r\nContent-Length: 4", r"malformed HTTP \(Content-Length can't be present"),
    ],
)
def test_an_answer_whose_end_cannot_be_told_is_refused_at_once(
    comfyui: Exchange, connect: Connect, opened: list[socket.socket], fields: bytes, why: str
) -> None:
    comfyui.on("GET", "/a", raw(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nabcd"))
    with pytest.raises(MakesNoSense, match=f"answers with {why}"):
        ask(connect(), "/a")
    assert opened[0].fileno() == -1
