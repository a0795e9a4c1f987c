"""The connections under the client: when they are kept, when they are given up, and what comes over them."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.failures import CallFailed, CutOff, NoAnswerInTime, TooLong
from comfybridge.comfyui.outcome import Prompt
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, ComfyUIUnreachable
from tests.comfyui.asking import CHUNKED, LARGE, SIGNED_OFF, TIMEOUT, UNTIL_CLOSED, Connect, ask, drain
from tests.comfyui.exchange import (
    PATIENCE,
    Behaviour,
    Call,
    Exchange,
    and_close,
    and_reset,
    hang_up,
    message,
    raw,
    reply,
    silent,
)
from tests.waiting import SECONDS


def until_readable(sockets: list[socket.socket]) -> None:
    """Wait for what comes next on the last connection: the goodbye."""
    assert select.select([sockets[-1]], [], [], PATIENCE)[0]


# -- connections that are used again -----------------------------------------------------------------------------


def test_a_connection_is_used_again(comfyui: Exchange, connect: Connect) -> None:
    comfyui.get("/a", "one")
    comfyui.post("/a", json_body={"said": 2})
    transport = connect()
    assert [ask(transport), ask(transport, method="POST"), ask(transport)] == [b"one", b'{"said": 2}', b"one"]
    assert comfyui.asked() == [("/a", 1)] * 3
    assert json.loads(comfyui.requests[1].body) == {"x": 1}
    assert comfyui.requests[1].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_was_closed_meanwhile_costs_nothing(
    comfyui: Exchange, connect: Connect, opened: list[socket.socket], method: str
) -> None:
    comfyui.on(method, "/a", and_close(reply("one")), reply("two"))
    transport = connect()
    assert ask(transport, method=method) == b"one"
    until_readable(opened)
    assert ask(transport, method=method) == b"two"
    assert comfyui.asked() == [("/a", 1), ("/a", 2)]


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    comfyui: Exchange, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network in between may have forgotten it, and what is sent then goes nowhere."""
    monkeypatch.setattr("comfybridge.comfyui.transport.IDLE_SECONDS", 0.0)
    comfyui.on("GET", "/a", reply("1"), reply("2"))
    transport = connect()
    assert [ask(transport), ask(transport)] == [b"1", b"2"]
    assert comfyui.connections == 2


@pytest.mark.parametrize("dying", [hang_up, and_reset(raw(b"")), raw(b"nonsense\r\n\r\n")])
def test_a_get_is_sent_again_where_a_used_connection_dies_under_it(
    comfyui: Exchange, connect: Connect, dying: Behaviour
) -> None:
    comfyui.on("GET", "/a", reply("one"), dying, reply("two"))
    transport = connect()
    assert [ask(transport), ask(transport)] == [b"one", b"two"]
    assert comfyui.asked() == [("/a", 1), ("/a", 1), ("/a", 2)]


def test_a_get_is_sent_again_only_once(comfyui: Exchange, connect: Connect) -> None:
    comfyui.on("GET", "/a", reply("one"), hang_up, hang_up)
    transport = connect()
    ask(transport)
    with pytest.raises(CallFailed):
        ask(transport)
    assert len(comfyui.requests) == 3


def test_a_get_on_a_new_connection_is_not_sent_again(comfyui: Exchange, connect: Connect) -> None:
    comfyui.on("GET", "/a", hang_up)
    with pytest.raises(CallFailed):
        ask(connect())
    assert len(comfyui.requests) == 1


def test_a_post_is_never_sent_again(comfyui: Exchange) -> None:
    comfyui.get("/prompt", json_body={"exec_info": {"queue_remaining": 0}})
    comfyui.on("POST", "/prompt", hang_up)
    client = ComfyUIClient(ServerAddress.parse(comfyui.url))
    client.queue_length()
    with pytest.raises(ComfyUIUnreachable, match="closed the connection without an answer"):
        client.queue_prompt(Prompt("id", {}), "me")
    client.close()
    assert comfyui.asked() == [("/prompt", 1)] * 2


def test_silence_is_not_asked_again(comfyui: Exchange, connect: Connect) -> None:
    comfyui.on("GET", "/a", reply("one"), silent)
    transport = connect()
    ask(transport)
    with pytest.raises(NoAnswerInTime):
        transport.send("GET", "/a", (5, 0.1))
    assert len(comfyui.requests) == 2


def test_an_answer_that_cannot_be_read_is_not_asked_for_again(comfyui: Exchange, connect: Connect) -> None:
    packed = raw(message(b"packed", headers={"Content-Encoding": "gzip"}))
    comfyui.on("GET", "/a", reply("one"), packed)
    transport = connect()
    ask(transport)
    with pytest.raises(CallFailed, match="compresses"):
        ask(transport)
    assert len(comfyui.requests) == 2


def test_every_call_has_its_own_patience(comfyui: Exchange, connect: Connect) -> None:
    comfyui.on("GET", "/a", reply("one"), reply("two"), silent)
    transport = connect()
    for seconds in (2, 600):
        transport.send("GET", "/a", (5, seconds)).close()
    began = time.monotonic()
    with pytest.raises(NoAnswerInTime):
        transport.send("GET", "/a", (5, 0.1))
    assert time.monotonic() - began < SECONDS


# -- connections that are given up -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("framing", [message(b"abc", length=6), CHUNKED + b"3\r\nabc\r\n"])
def test_what_has_not_come_to_its_end_ends_the_connection(
    comfyui: Exchange, connect: Connect, opened: list[socket.socket], status: int, framing: bytes
) -> None:
    comfyui.on("GET", "/a", raw(framing.replace(b"200", b"%d" % status, 1)), raw(message(b"abcdef")))
    transport = connect()
    with transport.send("GET", "/a", TIMEOUT) as answer:
        assert answer.status == status
        assert answer.read_some(3) == b"abc"
    assert opened[0].fileno() == -1
    assert ask(transport) == b"abcdef"
    assert ask(transport) == b"abcdef"
    assert [connection for _, connection in comfyui.asked()] == [1, 2, 2]


@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_what_has_no_body_needs_no_reading(comfyui: Exchange, connect: Connect, status: int) -> None:
    comfyui.get("/a", status=status)
    transport = connect()
    for _ in range(2):
        transport.send("GET", "/a", TIMEOUT).close()
    assert [connection for _, connection in comfyui.asked()] == [1, 1]


def test_a_connection_that_is_signed_off_is_not_kept(
    comfyui: Exchange, connect: Connect, opened: list[socket.socket]
) -> None:
    comfyui.on("GET", "/a", raw(SIGNED_OFF))
    transport = connect()
    assert [ask(transport), ask(transport)] == [b"abcd"] * 2
    assert [connection for _, connection in comfyui.asked()] == [1, 2]
    assert [each.fileno() for each in opened] == [-1, -1]


def test_a_connection_that_is_signed_off_takes_nobody_s_place(comfyui: Exchange, connect: Connect) -> None:
    comfyui.on("GET", "/a", raw(SIGNED_OFF), raw(message(b"abcd")))
    transport = connect(most_idle=1)
    answers = [transport.send("GET", "/a", TIMEOUT) for _ in range(2)]
    for answer in answers:
        answer.read(LARGE)
        answer.close()
    ask(transport)
    assert [connection for _, connection in comfyui.asked()] == [1, 2, 2]


@pytest.mark.parametrize("read", [lambda answer: answer.read(LARGE), lambda answer: drain(answer)])
@pytest.mark.parametrize(
    "broken",
    [
        raw(CHUNKED + b"3\r\nabc\r\nnonsense\r\n"),
        and_close(raw(CHUNKED + b"3\r\nabcdef\r\n")),
        and_close(raw(CHUNKED + b"f" * 5000 + b"\r\nabc")),
        and_close(raw(CHUNKED + b"-3\r\nabc\r\n")),
        and_close(raw(CHUNKED + b"3\r\nabc\r\n")),
        and_close(raw(CHUNKED + b"3\r\nab")),
        and_close(raw(message(b"abc", length=6))),
        and_reset(raw(message(b"abc", length=6))),
        and_reset(raw(CHUNKED + b"3\r\nabc\r\n")),
        and_reset(raw(UNTIL_CLOSED + b"abc")),
    ],
)
def test_a_body_that_is_cut_off_is_an_error_and_ends_the_connection(
    comfyui: Exchange,
    connect: Connect,
    opened: list[socket.socket],
    broken: Behaviour,
    read: Callable[[object], bytes],
) -> None:
    comfyui.on("GET", "/a", broken)
    with connect().send("GET", "/a", TIMEOUT) as answer, pytest.raises(CutOff):
        read(answer)
    assert opened[0].fileno() == -1


@pytest.mark.parametrize(
    ("whole", "size"),
    [
        (raw(message(b"abcdef")), 6),
        (raw(CHUNKED + b"3\r\nabc\r\n3;x=y\r\ndef\r\n0\r\nX-Trailer: z\r\n\r\n"), None),
        (and_close(raw(CHUNKED + b"6\r\nabcdef\r\n0\r\n\r\n")), None),
        (and_close(raw(UNTIL_CLOSED + b"abcdef")), None),
        (and_close(raw(b"HTTP/1.0 200 OK\r\n\r\nabcdef")), None),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\n" + message(b"abcdef")), 6),
    ],
)
def test_a_body_comes_whole_however_its_end_is_told(
    comfyui: Exchange, connect: Connect, whole: Behaviour, size: int | None
) -> None:
    comfyui.on("GET", "/a", whole)
    transport = connect()
    assert ask(transport) == b"abcdef"
    with transport.send("GET", "/a", TIMEOUT) as answer:
        assert answer.length == size
        assert drain(answer) == b"abcdef"
        assert answer.read_some(3) == b""


@pytest.mark.parametrize("head", [UNTIL_CLOSED, CHUNKED + b"9\r\n", SIGNED_OFF[:-4], message(length=9)])
def test_the_deadline_holds_for_a_body_even_if_it_comes_nearer(
    comfyui: Exchange, connect: Connect, head: bytes
) -> None:
    comfyui.on("GET", "/a", raw(head + b"abc"))
    deadline = Deadline(600)
    with connect().send("GET", "/a", TIMEOUT, deadline=deadline) as answer:
        assert answer.read_some(9) == b"abc"
        deadline.extend(-599.9)
        began = time.monotonic()
        with pytest.raises(NoAnswerInTime):
            answer.read_some(9)
        assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("framing", [message(b"abcdef"), CHUNKED + b"6\r\nabcdef\r\n0\r\n\r\n"])
def test_what_has_come_by_the_deadline_is_read_after_it(comfyui: Exchange, connect: Connect, framing: bytes) -> None:
    comfyui.on("GET", "/a", raw(framing))
    deadline = Deadline(600)
    with connect().send("GET", "/a", TIMEOUT, deadline=deadline) as answer:
        assert answer.read_some(3) == b"abc"
        deadline.extend(-60)
        assert answer.read(3) == b"def"


@pytest.mark.parametrize("framing", [message(b"abcdef"), CHUNKED + b"6\r\nabcdef\r\n0\r\n\r\n"])
def test_a_body_may_be_as_large_as_is_allowed_and_no_larger(
    comfyui: Exchange, connect: Connect, opened: list[socket.socket], framing: bytes
) -> None:
    comfyui.on("GET", "/a", raw(framing))
    with connect().send("GET", "/a", TIMEOUT) as answer:
        assert answer.read(6) == b"abcdef"
    with connect().send("GET", "/a", TIMEOUT) as answer, pytest.raises(TooLong):
        answer.read(5)
    assert opened[-1].fileno() == -1


def test_so_many_connections_are_kept_and_no_more(
    comfyui: Exchange, connect: Connect, opened: list[socket.socket]
) -> None:
    comfyui.get("/a", "x")
    transport = connect(most_idle=2)
    answers = [transport.send("GET", "/a", TIMEOUT) for _ in range(5)]
    for answer in answers:
        answer.read(LARGE)
        answer.close()
        answer.close()
    assert sorted(each.fileno() != -1 for each in opened) == [False] * 3 + [True] * 2
    transport.close()
    assert all(each.fileno() == -1 for each in opened)


# -- many at once ------------------------------------------------------------------------------------------------


def test_everybody_gets_the_answer_to_their_own_question(comfyui: Exchange) -> None:
    def echo(call: Call) -> None:
        call.take_body()
        call.send(message(call.request.query["filename"].encode()))

    comfyui.on("GET", "/view", echo)
    client = ComfyUIClient(ServerAddress.parse(comfyui.url), pool_size=4)
    begin = threading.Barrier(16)

    def ask_often(thread: int) -> list[bool]:
        begin.wait(PATIENCE)
        names = [f"{thread}-{number}" * 100 for number in range(50)]
        return [b"".join(client.view(name, "", "output")) == name.encode() for name in names]

    with ThreadPoolExecutor(16) as pool:
        right = [each for answers in pool.map(ask_often, range(16)) for each in answers]
    client.close()
    assert right == [True] * 800
    assert comfyui.connections < 800


def test_a_cut_answer_is_told_by_the_client_as_comfyui_s_error(comfyui: Exchange) -> None:
    comfyui.on("GET", "/view", and_reset(raw(message(b"abc", length=6))))
    client = ComfyUIClient(ServerAddress.parse(comfyui.url))
    with pytest.raises(ComfyUIError, match="cut off in the middle") as raised:
        list(client.view("a", "", "output"))
    assert type(raised.value) is ComfyUIError
