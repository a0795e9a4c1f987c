"""Answers that never end, and those that are too long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.calls import ComfyUISilent, Size
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, TimedOut
from tests.comfyui.asking import CHUNKED, CONTINUE, UNTIL_CLOSED, elsewhere
from tests.comfyui.exchange import (
    PATIENCE,
    Behaviour,
    Call,
    Exchange,
    dripping,
    endless,
    message,
    raw,
)

DRIPPING_LINES = [
    endless(b"", b"\r\n", 0.02),
    endless(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.02),
    endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.02),
    endless(CONTINUE + b"HTTP/1.1 100 Continue\r\nX: ", b"y", 0.02),
    endless(CHUNKED, b"0", 0.02),
    endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"A: b\r\n", 0.02),
    endless(CHUNKED + b"2\r\n{}\r\n0\r\nA: ", b"b", 0.02),
]
DRIPPING_BODIES = [
    endless(message(length=10**6), b" ", 0.02),
    endless(UNTIL_CLOSED, b" ", 0.02),
    endless(CHUNKED, b"1\r\n \r\n", 0.02),
    endless(CHUNKED, b"1\r\n \r\n"),  # so often that it is never silent
]


def ask_history(address: ServerAddress | str, deadline: float = 60, read_timeout: float = 30) -> object:
    """What the client makes of the answer; fails if it makes nothing of it."""
    if isinstance(address, str):
        address = ServerAddress.parse(address)
    client = ComfyUIClient(address, read_timeout=read_timeout)
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(client.history, "id", Deadline(deadline)).result(PATIENCE)
    finally:
        pool.shutdown(wait=False)  # if it hangs, it hangs until the server ends
        client.close()


@pytest.mark.parametrize("drip", [*DRIPPING_LINES, *DRIPPING_BODIES])
def test_no_answer_outlasts_the_deadline(comfyui: Exchange, drip: Behaviour) -> None:
    comfyui.on("GET", "/history/id", drip)
    with pytest.raises(TimedOut):
        ask_history(comfyui.url, deadline=0.3)


@pytest.mark.parametrize("drip", DRIPPING_LINES)
def test_a_head_that_drips_in_is_silence(comfyui: Exchange, drip: Behaviour) -> None:
    comfyui.on("GET", "/history/id", drip)
    with pytest.raises(ComfyUISilent):
        ask_history(comfyui.url, read_timeout=0.2)


def test_what_is_encrypted_does_not_outlast_the_deadline(environment: pytest.MonkeyPatch) -> None:
    with Exchange(is_https=True) as comfyui:
        comfyui.on("GET", "/history/id", DRIPPING_LINES[1])
        with pytest.raises(TimedOut):
            ask_history(comfyui.url, deadline=0.5)


def drip_the_other_hello(call: Call) -> None:
    """Lets a tunnel through, at whose end TLS begins well and goes on byte by byte."""
    call.send(b"HTTP/1.1 200 Connected\r\n\r\n")
    call.incoming.read(1)
    endless(b"\x16\x03\x03\x3f\xff", b"\x02", 0.02)(call)


@pytest.mark.parametrize("drip", [endless(b"HTTP/1.0 200 OK\r\n", b"X: y\r\n", 0.02), drip_the_other_hello])
def test_no_proxy_outlasts_the_deadline(comfyui: Exchange, environment: pytest.MonkeyPatch, drip: Behaviour) -> None:
    environment.setenv("HTTPS_PROXY", comfyui.url)
    comfyui.on("CONNECT", "localhost:8443", drip)
    with pytest.raises(TimedOut):
        ask_history(elsewhere(), deadline=0.3)


def test_an_answer_that_is_announced_for_ever_is_none(comfyui: Exchange) -> None:
    comfyui.on("GET", "/history/id", endless(b"", CONTINUE))
    with pytest.raises(ComfyUIError, match="answers with a head, or an end, that is too long"):
        ask_history(comfyui.url)


def test_an_answer_without_an_end_of_its_trailers_is_cut_off(comfyui: Exchange) -> None:
    comfyui.on("GET", "/history/id", endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"A: b\r\n"))
    with pytest.raises(ComfyUIError, match="cut off in the middle"):
        ask_history(comfyui.url)


@pytest.mark.parametrize(
    "body",
    [
        endless(UNTIL_CLOSED + b"[", b"1," * 10_000),
        endless(CHUNKED, b"4e20\r\n" + b"1," * 10_000 + b"\r\n"),
        raw(message(b"[", length=10**12)),
    ],
)
def test_an_answer_that_is_too_long_is_an_error(
    comfyui: Exchange, monkeypatch: pytest.MonkeyPatch, body: Behaviour
) -> None:
    monkeypatch.setattr("comfybridge.comfyui.calls.LARGEST_ANSWER", Size(1_000_000, 1_000_000))
    comfyui.on("GET", "/history/id", body)
    with pytest.raises(ComfyUIError, match="answers with more than 1000000 bytes to GET /history") as raised:
        ask_history(comfyui.url)
    assert type(raised.value) is ComfyUIError


def test_an_answer_of_too_many_values_is_an_error_before_it_is_parsed(comfyui: Exchange) -> None:
    """A megabyte of them becomes twenty megabytes of lists."""
    comfyui.get("/history/id", b"[" + b"[]," * 600_000 + b"[]]")
    with pytest.raises(ComfyUIError, match="answers with more than 1000000 values to GET /history"):
        ask_history(comfyui.url)


def test_a_queue_may_be_longer_than_other_answers(comfyui: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfybridge.comfyui.calls.LARGEST_ANSWER", Size(10, 1_000_000))
    comfyui.get("/queue", json_body={"queue_running": [[1, "a", {}, {}, []]], "queue_pending": []})
    client = ComfyUIClient(ServerAddress.parse(comfyui.url))
    assert client.queue().running == ("a",)
    client.close()


@pytest.mark.parametrize(
    "file",
    [
        dripping(b"x" * 20, 0.05, message(length=20)),
        dripping(b"1\r\nx\r\n" * 3 + b"0\r\n\r\n", 0.05, CHUNKED + b"11\r\n" + b"x" * 17 + b"\r\n"),
    ],
)
def test_a_file_may_take_longer_than_silence_may_last(comfyui: Exchange, file: Behaviour) -> None:
    comfyui.on("GET", "/view", file)
    client = ComfyUIClient(ServerAddress.parse(comfyui.url), read_timeout=0.7)
    assert b"".join(client.view("a", "", "output", Deadline(60))) == b"x" * 20
    client.close()
