"""How requests are read: in portions, and within the budget."""

from __future__ import annotations

import os

import pytest

if os.name == "nt":
    pytest.skip("Windows has no gunicorn", allow_module_level=True)

from typing import Any

from gunicorn.config import Config

from comfybridge.serving.bodies import Budget, Limits, LimitsOf
from comfybridge.serving.reader import Incoming, Reader, Terms
from comfybridge.serving.refusals import Refused

HEAD = b"POST /generate HTTP/1.1\r\nHost: localhost\r\n"


class Server:
    """Readers of one server.

    Attributes:
        asked: how often the application was asked whether a body is wanted.
    """

    def __init__(self, budget: int = 10_000_000) -> None:
        self.asked = 0
        self._terms = Terms(Config(), LimitsOf(Limits(10_000_000, Budget(budget))), self._admits)

    def _admits(self, environ: Any) -> bool:
        self.asked += 1
        return True

    def reader(self) -> Reader:
        return Reader(self._terms, ("127.0.0.1", 1), ("127.0.0.1", 2))

    def read(self, sent: bytes) -> tuple[Incoming, int]:
        """A request, and in how many portions it was read."""
        reader, portions = self.reader(), 1
        incoming = reader.feed(sent)
        while incoming is None:
            assert reader.is_interrupted
            incoming, portions = reader.feed(b""), portions + 1
        assert not reader.is_interrupted
        return incoming, portions


def announced(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_a_request_that_is_there_is_read_at_once() -> None:
    server = Server()
    incoming, portions = server.read(announced(b"{}"))
    assert incoming.environ["wsgi.input"].read() == b"{}"
    assert (portions, server.asked) == (1, 0)


def test_the_application_is_asked_in_a_portion_of_its_own() -> None:
    server = Server()
    reader = server.reader()
    assert reader.feed(announced(b"abc")[:-1]) is None
    assert (reader.is_interrupted, server.asked) == (True, 0)
    assert reader.feed(b"") is None
    assert (reader.is_interrupted, server.asked) == (False, 1)
    incoming = reader.feed(b"c")
    assert incoming is not None
    assert incoming.environ["wsgi.input"].read() == b"abc"


def test_small_chunks_are_read_in_portions_and_large_ones_at_once() -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    small, portions = Server().read(head + b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n")
    assert small.environ["wsgi.input"].read() == b"a" * 10_000
    assert portions > 40
    large, portions = Server().read(head + b"2710\r\n" + b"a" * 10_000 + b"\r\n0\r\n\r\n")
    assert large.environ["wsgi.input"].read() == b"a" * 10_000
    assert portions == 2


def test_small_bodies_are_counted_too_and_have_room_that_large_ones_leave() -> None:
    server = Server(budget=200_000)
    large, _ = server.read(announced(b"a" * 200_000))
    small, _ = server.read(announced(b"a" * 20_000))
    with pytest.raises(Refused, match="COMFYBRIDGE_MAX_TOTAL_BODY_BYTES"):
        server.read(announced(b"a" * 20_000))
    small.close()
    again, _ = server.read(announced(b"a" * 20_000))
    again.close()
    with pytest.raises(Refused):
        server.read(announced(b"a" * 70_000))
    large.close()
    server.read(announced(b"a" * 200_000))
