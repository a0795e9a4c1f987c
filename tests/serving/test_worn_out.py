"""Servers that have no threads or no files for a while, and callers who never go."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from pathlib import Path

import pytest

from comfybridge.simulator import Simulator
from tests import graphs
from tests.serving.raw_callers import connect, read_answer
from tests.serving.servers import EVERY_SERVER, SECONDS, Start, Started
from tests.waiting import until_true

if os.name == "nt":
    pytest.skip("Windows has no gunicorn", allow_module_level=True)

PROBE = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = json.dumps({"workflow": graphs.picture()}).encode()
GENERATE = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
REFUSED = b"POST /generate HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100\r\n\r\n"
RUN = "\nimport runpy, sys\nsys.argv = ['app.py']\nrunpy.run_path('app.py', run_name='__main__')"

NO_THREAD = """
from comfybridge.serving.threads import Threads
give, refused = Threads.give, []
def refuse(threads, work):
    if len(refused) < 3:
        refused.append(work)
        raise RuntimeError("can't start new thread")
    give(threads, work)
Threads.give = refuse
"""
NO_FILES = """
import errno, os, socket
accept = socket.socket.accept
def refuse(listener):
    if os.path.exists({flag!r}):
        raise OSError(errno.EMFILE, "Too many open files")
    return accept(listener)
socket.socket.accept = refuse
"""
SHORT_FAREWELL = """
from comfybridge.serving import gunicorn_worker
gunicorn_worker.FAREWELL_AT_MOST = 1.0
"""


def test_a_caller_for_whom_there_is_no_thread_is_told(start: Start) -> None:
    server = start(["-c", NO_THREAD + RUN])
    answers = []
    for _ in range(4):
        with connect(server, PROBE) as caller:
            answers.append(read_answer(caller))
    assert [answer.split()[1] for answer in answers] == [b"503"] * 3 + [b"200"]
    assert b"allows the bridge no thread" in answers[0]


def test_callers_are_taken_again_once_there_are_files_again(start: Start, sim: Simulator, tmp_path: Path) -> None:
    flag = tmp_path / "no files"
    server = start(["-c", NO_FILES.format(flag=str(flag)) + RUN])
    sim.hold()
    with contextlib.ExitStack() as held:
        held.enter_context(connect(server, GENERATE))
        sim.wait_until_queued(1)
        flag.touch()
        held.enter_context(connect(server, GENERATE))
        until_true(lambda: "allows the bridge only 1 connections" in server.said)
        flag.unlink()
        for _ in range(3):
            held.enter_context(connect(server, GENERATE))
        sim.wait_until_queued(5)
        sim.release()


@pytest.mark.parametrize("start_with", EVERY_SERVER)
def test_a_crowd_that_is_refused_and_gone_costs_no_worker(start: Start, start_with: list[str]) -> None:
    server = start(start_with)
    for _ in range(5):
        for crowd in [[connect(server, REFUSED) for _ in range(150)] for _ in range(2)]:
            for caller in crowd:  # a reset, so that the server can't even say goodbye
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                caller.close()
    with connect(server, PROBE) as caller:
        assert b" 200 " in read_answer(caller)
    assert "Exception" not in server.said
    assert "bug" not in server.said


def test_a_refused_caller_who_goes_on_sending_is_cut_off(start: Start) -> None:
    server = start(["-c", SHORT_FAREWELL + RUN])
    with connect(server, b"GET / HTTP/2.0\r\n\r\n") as caller:
        assert read_answer(caller).startswith(b"HTTP/1.1 400 ")
        caller.settimeout(0.05)

        def is_cut_off() -> bool:
            try:
                caller.sendall(b"x")
            except ConnectionError:
                return True
            return False

        until_true(is_cut_off, SECONDS)


URIS = {
    "a foreign host": (b"http://evil.example/queue", b"localhost", 403),
    "a host of ours": (b"http://localhost/queue", b"evil.example", 200),
    "no host": (b"/queue", b"evil.example", 403),
    "a password": (b"http://user:password@localhost/queue", b"localhost", 400),
}


@pytest.mark.parametrize("arguments", [EVERY_SERVER[0], EVERY_SERVER[2]])
@pytest.mark.parametrize(("uri", "host", "status"), URIS.values(), ids=URIS.keys())
def test_the_host_in_an_absolute_uri_counts(
    common: Started, arguments: list[str], uri: bytes, host: bytes, status: int
) -> None:
    with connect(common(arguments), b"GET " + uri + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") as caller:
        assert int(read_answer(caller).split()[1]) == status
