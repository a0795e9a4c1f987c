"""What no caller may take from the others: the worker, and the threads that answer probes."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
import requests

from comfybridge.simulator import Simulator
from tests import graphs
from tests.serving.raw_callers import connect, read_answer
from tests.serving.servers import SECONDS, Server, free_port

pytestmark = pytest.mark.skipif(os.name == "nt", reason="it runs waitress")

LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as a disk that is full; -B: for bytecode too
sys.argv = ["app.py"]
runpy.run_path("app.py", run_name="__main__")
"""
PROBE = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_full_disk_refuses_the_body_and_ends_no_worker() -> None:
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n"
    with Simulator(step_seconds=0) as sim:
        server = Server(["-B", "-c", LIMITED], COMFYUI_URL=sim.url, COMFYBRIDGE_PORT=free_port())
        with contextlib.closing(connect(server, head)) as caller:
            with contextlib.suppress(OSError):  # the answer may arrive before everything is sent
                for _ in range(300):
                    caller.sendall(b" " * 1000)
            answer = read_answer(caller)
        assert b" 503 " in answer
        assert b"no room for temporary files" in answer
        body = {"workflow": graphs.picture()}
        assert requests.post(f"{server.url}/generate", json=body, timeout=SECONDS).status_code == 200
        server.end()
    assert "exited" not in server.said


def test_callers_who_read_no_answer_hold_no_probe() -> None:
    with Simulator(step_seconds=0) as sim, contextlib.ExitStack() as held:
        server = Server(
            ["app.py"], COMFYUI_URL=sim.url, COMFYBRIDGE_PORT=free_port(), COMFYBRIDGE_CALLER_TIMEOUT="600"
        )
        for _ in range(4):
            caller = held.enter_context(contextlib.closing(socket.socket()))
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            caller.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
            caller.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while True:  # until no more can be sent, because nothing is read
                    caller.sendall(PROBE * 100)
        assert requests.get(f"{server.url}/health", timeout=SECONDS).status_code == 200
        server.process.kill()
        server.end()
