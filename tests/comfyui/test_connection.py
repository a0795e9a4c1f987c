"""What comes over a websocket, however its frames are cut."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest
import websocket

from comfybridge.comfyui import events
from comfybridge.comfyui.waiting.connection import Connection, SocketLost

AT_ONCE = 0.001
PATIENCE = 20  # seconds, for events that should happen at once


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection, and ComfyUI's end of it."""
    ours, theirs = socket.socketpair()
    opened = websocket.WebSocket(skip_utf8_validation=True, fire_cont_frame=True)  # type: ignore[no-untyped-call]
    opened.sock = ours
    opened.connected = True
    connection = Connection("us", opened)
    yield connection, theirs
    theirs.close()
    connection.close()


def status(count: int, padding: int = 0) -> bytes:
    return json.dumps(
        {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": count}}, "x": "y" * padding}}
    ).encode()


def frame(data: bytes, opcode: int = websocket.ABNF.OPCODE_TEXT, *, is_last: bool = True) -> bytes:
    """A frame as servers send it, unmasked."""
    first = bytes([is_last << 7 | opcode])
    if len(data) < 126:
        return first + bytes([len(data)]) + data
    if len(data) < 1 << 16:
        return first + b"\x7e" + len(data).to_bytes(2, "big") + data
    return first + b"\x7f" + len(data).to_bytes(8, "big") + data


CONTINUED = websocket.ABNF.OPCODE_CONT
PING = frame(b"?", websocket.ABNF.OPCODE_PING)
# all of it could be the beginning of a frame
PICTURE = b"\0\0\0\1\0\0\0\2" + b"\x81\x05" * 80
STREAM = b"".join(
    [
        frame(status(1)),
        frame(b"?", websocket.ABNF.OPCODE_PING),
        frame(status(2, 200)),
        frame(status(3)[:20], is_last=False),
        frame(b"!", websocket.ABNF.OPCODE_PONG),
        frame(status(3)[20:], CONTINUED),
        frame(PICTURE, websocket.ABNF.OPCODE_BINARY),
        frame(b""),
        frame(status(4)),
    ]
)
EVENTS = [
    events.Status(1),
    events.Status(2),
    events.Status(3),
    events.Image("image/png", PICTURE[8:]),
    events.Unknown("malformed"),
    events.Status(4),
]


def all_that_came(connection: Connection) -> list[events.Event]:
    """The events that are there, without pings and pongs."""
    came = []
    while (event := connection.receive(AT_ONCE)) is not None:
        came.append(event)
    return [event for event in came if event != events.Unknown("ping or pong")]


def test_all_frames_come_in_their_order(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    theirs.sendall(STREAM)
    assert all_that_came(connection) == EVENTS


@pytest.mark.parametrize("cut", range(1, len(STREAM), 5))
def test_frames_come_whole_wherever_the_network_cuts_them(ends: tuple[Connection, socket.socket], cut: int) -> None:
    connection, theirs = ends
    theirs.sendall(STREAM[:cut])
    came = all_that_came(connection)
    theirs.sendall(STREAM[cut:])
    assert came + all_that_came(connection) == EVENTS


@pytest.mark.parametrize("padding", [0, 44, 45, 46, 65_000, 65_536, 200_000])
def test_a_message_may_be_of_any_length(ends: tuple[Connection, socket.socket], padding: int) -> None:
    connection, theirs = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    theirs.sendall(frame(status(1, padding)) + frame(status(2)))
    assert all_that_came(connection) == [events.Status(1), events.Status(2)]


def test_the_end_is_told_after_all_that_came_before(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    theirs.sendall(frame(status(1)))
    theirs.close()
    assert connection.receive(AT_ONCE) == events.Status(1)
    with pytest.raises(SocketLost):
        connection.receive(AT_ONCE)


def test_the_end_in_the_middle_of_a_frame_is_an_end(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    theirs.sendall(frame(status(1))[:-1])
    assert connection.receive(AT_ONCE) is None
    theirs.close()
    with pytest.raises(SocketLost):
        connection.receive(AT_ONCE)


GIANT = b"\x81\x7f" + (1 << 40).to_bytes(8, "big")


@pytest.mark.parametrize("cut", [0, 3])
def test_a_frame_that_announces_more_than_can_be_meant_ends_the_connection(
    ends: tuple[Connection, socket.socket], monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """However its head is cut: it shows by what was announced, or by what comes."""
    monkeypatch.setattr("comfybridge.comfyui.waiting.connection.LARGEST_MESSAGE", 100_000)
    connection, theirs = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    theirs.sendall(GIANT[:cut])
    if cut:
        assert connection.receive(AT_ONCE) is None
    theirs.sendall(GIANT[cut:] + b"a" * 100_001)
    with pytest.raises(SocketLost, match="a message of more than 100000 bytes"):
        connection.receive(AT_ONCE)


def test_frames_of_a_message_may_not_be_more_than_can_be_meant_either(
    ends: tuple[Connection, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.comfyui.waiting.connection.LARGEST_MESSAGE", 5000)
    connection, theirs = ends
    theirs.sendall(frame(b"a", is_last=False) + (frame(b"a" * 100, CONTINUED, is_last=False) + PING) * 60)
    for _ in range(49):
        assert connection.receive(AT_ONCE) == events.Unknown("ping or pong")
    with pytest.raises(SocketLost, match="a message of more than 5000 bytes"):
        connection.receive(AT_ONCE)


def test_an_event_of_too_many_values_is_not_taken_apart(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    text = b'{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1}}, "x": [%s0]}}'
    sending = threading.Thread(target=theirs.sendall, args=[frame(text % (b"0," * 1_000_000)) + frame(status(2))])
    sending.start()
    assert connection.receive(PATIENCE) == events.Unknown("malformed")
    assert connection.receive(PATIENCE) == events.Status(2)
    sending.join()
