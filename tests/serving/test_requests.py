"""Requests that come slowly, in pieces, malformed or not at all, against servers that run as a user starts them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator

import pytest

from comfybridge.simulator import Simulator
from tests import graphs
from tests.serving.raw_callers import connect, read_answer
from tests.serving.servers import EVERY_SERVER, SECONDS, Server, Start, free_port
from tests.waiting import until_true

KEY = "KEY-SECRET-0123456789"
GUNICORN_ONLY = pytest.mark.parametrize(
    "common_server",
    [pytest.param(EVERY_SERVER[0].values[0], marks=pytest.mark.skipif(os.name == "nt", reason="it runs waitress"))],
    indirect=True,
    ids=["python app.py"],
)
# How errors begin, by the address that was called.
SHAPES = {
    b"/generate": b'{"status": "error", "type":',
    b"/v1/images/edits": b'{"error": {"message":',
    b"/sdapi/v1/txt2img": b'"detail":',
    b"/api/v2/jobs": b'{"error": {"code":',
}
GENERATE = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " + KEY.encode() + b"\r\n"
BODY = json.dumps({"workflow": graphs.picture()}).encode()


@pytest.fixture(scope="module", params=[EVERY_SERVER[0], EVERY_SERVER[2]])
def common_server(request: pytest.FixtureRequest, common_sim: Simulator) -> Iterator[Server]:
    server = Server(
        request.param,
        COMFYUI_URL=common_sim.url,
        COMFYBRIDGE_PORT=free_port(),
        COMFYBRIDGE_MAX_CONCURRENT="4",
        COMFYBRIDGE_API_KEYS=f"a={KEY}",
        COMFYBRIDGE_MAX_TOTAL_BODY_BYTES="300000",
    )
    yield server
    server.end()


def status_of(server: Server, sent: bytes, *, closes: bool = False) -> int:
    """The status with which some bytes are answered, which all go before it is read."""
    with connect(server, sent) as caller:
        if closes:
            caller.shutdown(socket.SHUT_WR)
        return int(read_answer(caller).split()[1])


HELD_BACK = {
    "a byte of the next request": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nG",
    "a body": GENERATE + b"Content-Length: 100\r\n\r\n",
    "a body, without a key": b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n",
    "a chunk": GENERATE + b"Transfer-Encoding: chunked\r\n\r\n",
    "the trailer": GENERATE + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y",
    "what is expected": GENERATE + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
}


@pytest.mark.parametrize("sent", HELD_BACK.values(), ids=HELD_BACK.keys())
def test_what_is_held_back_holds_no_thread(common_server: Server, sent: bytes) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(60):  # more than there are threads
            held.enter_context(connect(common_server, sent))
        assert status_of(common_server, GENERATE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY) == 200


@GUNICORN_ONLY
def test_who_has_no_key_is_told_so_before_the_body_has_come(common_server: Server) -> None:
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    assert status_of(common_server, head) == 401
    assert status_of(common_server, head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")) == 401


@GUNICORN_ONLY
def test_a_body_that_is_too_large_is_refused_before_it_has_come(common_server: Server) -> None:
    assert status_of(common_server, GENERATE + b"Content-Length: 40000000\r\n\r\n") == 413
    assert status_of(common_server, GENERATE + b"Content-Length: %s\r\n\r\n" % (b"9" * 30)) == 413


@GUNICORN_ONLY
def test_a_body_that_is_too_large_is_refused_in_the_words_of_the_api_that_was_called(common_server: Server) -> None:
    own, openais = b'{"status":', b'{"error":{"message":'
    for path, status, shape in (
        (b"/generate", 413, own),
        (b"/v1/images/edits", 413, openais),
        (b"/v1/nothing", 404, openais),
    ):
        for length in (b"40000000", b"4000000000"):
            head = GENERATE.replace(b"/generate", path) + b"Content-Length: " + length + b"\r\n\r\n"
            with connect(common_server, head) as caller:
                answer = read_answer(caller)
            assert int(answer.split()[1]) == status
            assert shape in answer


MALFORMED = {
    "chunks": b"POST %s HTTP/1.1\r\nHost: localhost\r\nX-API-Key: KEY\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "a header": b"GET %s HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
    "no host": b"GET %s HTTP/1.1\r\n\r\n",
    "an absolute address": b"GET http://localhost%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_the_server_refuses_itself_is_worded_as_at_its_address(common_server: Server, name: str) -> None:
    for path, shape in SHAPES.items():
        sent = MALFORMED[name].replace(b"KEY\r", KEY.encode() + b"\r") % path
        with connect(common_server, sent) as caller:
            answer = read_answer(caller)
        assert (int(answer.split()[1]), shape in answer) == (400, True), answer
        assert b"needs a Host header." in answer or name != "no host"


@GUNICORN_ONLY
def test_heads_that_are_too_long_are_refused_as_at_their_address(common_server: Server) -> None:
    for path, shape in SHAPES.items():
        line = b"GET %s?%s HTTP/1.1\r\nHost: localhost\r\n" % (path, b"a" * 5000)
        lines = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, b"X: y\r\n" * 200)
        for sent, status in (
            (line + b"\r\n", 414),
            (line + b"X: " + b"b" * 70_000, 431),
            (b"GET %s?" % path + b"a" * 70_000, 414),
            (lines, 431),
        ):
            with connect(common_server, sent) as caller:
                answer = read_answer(caller)
            assert (int(answer.split()[1]), shape in answer) == (status, True), answer


def test_who_waits_for_a_word_before_the_body_gets_it(common_server: Server) -> None:
    with connect(
        common_server, GENERATE + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    ) as caller:
        assert caller.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.sendall(BODY)
        assert read_answer(caller).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("coding", ["chunked", "length"])
def test_a_request_may_come_byte_by_byte(common_server: Server, coding: str) -> None:
    chunks = b"%x;a=b\r\n" % 10 + BODY[:10] + b"\r\n%X\r\n" % len(BODY[10:]) + BODY[10:] + b"\r\n0\r\nX: y\r\n\r\n"
    announced = b"Transfer-Encoding: chunked" if coding == "chunked" else b"Content-Length: %d" % len(BODY)
    sent = GENERATE + announced + b"\r\n\r\n" + (chunks if coding == "chunked" else BODY)
    with connect(common_server) as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):  # the connection can be used again
            for byte in sent:
                caller.sendall(bytes([byte]))
            assert read_answer(caller).startswith(b"HTTP/1.1 200 ")


def test_all_bodies_together_have_a_budget(common_server: Server, common_sim: Simulator) -> None:
    def of_length(body: bytes, length: int) -> bytes:
        return GENERATE + b"Content-Length: %d\r\n\r\n" % length + body.ljust(length)

    common_sim.hold()
    with connect(common_server, of_length(BODY, 190_000)) as caller:
        common_sim.wait_until_queued(1)  # so all of its body has come, and is kept
        assert status_of(common_server, of_length(b"", 200_000)) == 503
        assert status_of(common_server, of_length(b"", 100)) == 400  # there is no JSON in it
        common_sim.release()
        assert read_answer(caller).startswith(b"HTTP/1.1 200 ")
    until_true(lambda: status_of(common_server, of_length(b"", 200_000)) == 400)


REFUSED = {
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", {400}),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", {400}),
    "compressed and chunked": (GENERATE + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "two lengths": (GENERATE + b"Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}", {400}),
    "a length and chunks": (GENERATE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "a length of many digits": (GENERATE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", {400}),
    "a folded header": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", {400}),
    "a chunk of many digits": (GENERATE + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 800 + b"\r\n{}", {400, 413}),
    "more than its chunk": (GENERATE + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", {400}),
    "an unknown version": (b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", {400}),
    "a script's name": (b"GET /docs/health HTTP/1.1\r\nHost: localhost\r\nSCRIPT_NAME: /docs\r\n\r\n", {404}),
    "a path in a header": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nPATH_INFO: /queue\r\n\r\n", {200}),
}


@pytest.mark.parametrize(("sent", "statuses"), REFUSED.values(), ids=REFUSED.keys())
def test_what_could_be_read_in_two_ways_is_refused_or_ignored(
    common_server: Server, sent: bytes, statuses: set[int]
) -> None:
    assert status_of(common_server, sent) in statuses


@GUNICORN_ONLY
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (GENERATE + b"Content-Length: 100\r\n\r\n{}", 400),
        (GENERATE + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{}", 400),
        (GENERATE, 400),
        (GENERATE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, 409),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
    ],
    ids=["a body", "chunks", "a head", "a request", "a look"],
)
def test_who_closes_its_side_is_told_what_was_missing(
    common_server: Server, common_sim: Simulator, sent: bytes, status: int
) -> None:
    common_sim.hold()  # otherwise a picture may be there before it is seen who has left
    try:
        assert status_of(common_server, sent, closes=True) == status
    finally:
        common_sim.release()


@GUNICORN_ONLY
@pytest.mark.parametrize(
    ("sent", "status"), [(b"GET /" + b"a" * 70_000, 414), (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431)]
)
def test_heads_without_an_end_are_refused(common_server: Server, sent: bytes, status: int) -> None:
    assert status_of(common_server, sent) == status


def test_the_log_quotes_no_request(common_server: Server) -> None:
    host = b" HTTP/1.1\r\nHost: localhost\r\n"
    for sent in (
        GENERATE + b'Transfer-Encoding: chunked\r\n\r\n{"prompt":"PROMPT-SECRET"}\r\n0\r\n\r\n',
        b"GET /queue" + host + b"X-API-Key " + KEY.encode() + b"\r\n\r\n",
        b"GET /queue" + host + b"Authorization : Bearer " + KEY.encode() + b"\r\n\r\n",
        b"GET /results/x?q=QUERY-SECRET\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n",
        b'{"prompt":"PROMPT-SECRET"}\r\n\r\n',
        b"POST http://user:PASS-SECRET@[/x" + host + b"\r\n",
        b"POST /generate" + host + b"Expect: KEY-SECRET\r\n\r\n",
        GENERATE + b'Content-Length: 2\r\n\r\n{}{"prompt":"PROMPT-SECRET too"}\r\n\r\n',
    ):
        with connect(common_server, sent) as caller:
            caller.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while caller.recv(4096):
                    pass
    assert "SECRET" not in common_server.said


@pytest.mark.parametrize("arguments", [EVERY_SERVER[0], EVERY_SERVER[2]])
def test_probes_are_answered_though_every_thread_is_taken(start: Start, sim: Simulator, arguments: list[str]) -> None:
    server = start(arguments, COMFYBRIDGE_MAX_CONCURRENT="1")
    sim.fail_route("/models", times=None, status=500, delay=SECONDS)
    with contextlib.ExitStack() as held:
        for _ in range(60):  # more than there are threads
            held.enter_context(connect(server, b"GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        began = time.monotonic()
        assert status_of(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") == 200
        assert time.monotonic() - began < SECONDS / 2


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux tells")
def test_threads_end_and_memory_is_given_back_when_it_is_quiet(start: Start, sim: Simulator) -> None:
    server = start(EVERY_SERVER[0].values[0])
    children = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    with open(children) as file:
        worker = file.read().split()[0]
    sim.hold()
    sent = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    with contextlib.ExitStack() as held:
        callers = [held.enter_context(connect(server, sent)) for _ in range(60)]
        sim.wait_until_queued(60)
        assert len(os.listdir(f"/proc/{worker}/task")) > 60
        sim.release()
        for caller in callers:
            assert read_answer(caller).startswith(b"HTTP/1.1 200 ")
    until_true(lambda: len(os.listdir(f"/proc/{worker}/task")) < 40, SECONDS)
    assert status_of(server, sent) == 200
