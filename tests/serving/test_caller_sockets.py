"""What goes over a caller's connection, piece by piece."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from comfybridge.serving.caller_socket import LARGEST_JOINED, CallerSocket

if not hasattr(socket, "SOCK_SEQPACKET"):
    pytest.skip("This system has no sockets that keep pieces apart.", allow_module_level=True)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
MOST = 1024 * 1024  # bytes of a piece

Sides = tuple[CallerSocket, socket.socket]


@pytest.fixture
def sides() -> Iterator[Sides]:
    """The bridge's side, and the caller's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    with CallerSocket(ours, 5) as bridge, theirs as caller:
        yield bridge, caller


def pieces(caller: socket.socket) -> list[bytes]:
    """What has come, in the pieces in which it was sent."""
    found = []
    while True:
        try:
            found.append(caller.recv(MOST))
        except BlockingIOError:
            return found


def test_a_head_goes_with_its_body(sides: Sides) -> None:
    bridge, caller = sides
    for number in range(2):
        bridge.sendall(HEAD)
        assert pieces(caller) == []
        bridge.sendall(b"ab%d" % number)
        assert pieces(caller) == [HEAD + b"ab%d" % number]
    bridge.sendall(b"more")
    bridge.flush()
    assert pieces(caller) == [b"more"]


def test_a_large_body_is_not_copied_for_it(sides: Sides) -> None:
    bridge, caller = sides
    body = b"a" * (LARGEST_JOINED + 1)
    bridge.sendall(HEAD)
    bridge.sendall(body)
    assert pieces(caller) == [HEAD, body]


def test_a_head_without_a_body_goes_in_the_end(sides: Sides) -> None:
    bridge, caller = sides
    bridge.sendall(HEAD)
    bridge.flush()
    bridge.flush()
    assert pieces(caller) == [HEAD]


def test_a_body_that_looks_like_a_head_is_not_lost(sides: Sides) -> None:
    bridge, caller = sides
    for _ in range(3):
        bridge.sendall(HEAD)
    bridge.flush()
    assert b"".join(pieces(caller)) == 3 * HEAD
