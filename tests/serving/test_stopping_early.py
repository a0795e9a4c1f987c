"""The stop of a server while requests have no prompt yet: their callers are told."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from comfybridge.simulator import Simulator
from tests.serving.servers import GUNICORN, PYTHON_APP, WAITRESS, Server, free_port
from tests.serving.stopped import Caller, messages
from tests.waiting import SECONDS, until_true
from tests.web.input_files import b64, loading, png

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a word")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A web server that takes callers and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        yield listening


def test_a_request_is_told_whose_picture_comfyui_does_not_take(sim: Simulator) -> None:
    sim.fail_route("/upload/image", times=None, status=500, delay=SECONDS)
    server = Server(
        PYTHON_APP,
        COMFYUI_URL=sim.url,
        COMFYBRIDGE_PORT=free_port(),
        COMFYBRIDGE_LOG_FORMAT="json",
        COMFYBRIDGE_SHUTDOWN_TIMEOUT="0.5",
    )
    try:
        caller = Caller(server, workflow=loading("a"), images={"a": b64(png())})
        until_true(lambda: any(each.path.endswith("/upload/image") for each in sim.requests))
        os.killpg(server.process.pid, signal.SIGTERM)
        answer = caller.answered()
        assert server.process.wait(SECONDS) == 0
    finally:
        server.end()
    assert (answer.status_code, answer.json()["type"]) == (503, "shutting_down")
    assert answer.json()["error"] == "The bridge is shutting down; nothing was queued."


@pytest.mark.parametrize("arguments", [PYTHON_APP, GUNICORN, WAITRESS], ids=["python app.py", "gunicorn", "waitress"])
@pytest.mark.parametrize("on_timeout", ["cancel", "keep"])
def test_a_request_whose_picture_is_being_fetched_is_told(
    sim: Simulator, silent: socket.socket, arguments: list[str], on_timeout: str
) -> None:
    server = Server(
        arguments,
        COMFYUI_URL=sim.url,
        COMFYBRIDGE_PORT=free_port(),
        COMFYBRIDGE_LOG_FORMAT="json",
        COMFYBRIDGE_SHUTDOWN_TIMEOUT="0.5",
        COMFYBRIDGE_FETCH_ALLOW_HOSTS="127.0.0.1",
        COMFYBRIDGE_FETCH_TIMEOUT="600",
    )
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/cat.png"
    try:
        caller = Caller(server, workflow=loading("a"), images={"a": url}, on_timeout=on_timeout)
        with silent.accept()[0]:
            os.killpg(server.process.pid, signal.SIGTERM)
            answer = caller.answered()
            assert server.process.wait(SECONDS) == 0
    finally:
        server.end()
    body = answer.json()
    assert (answer.status_code, body["type"]) == (503, "shutting_down")
    assert body["error"] == "The bridge is shutting down; nothing was queued."
    assert answer.headers["Retry-After"] == "5"
    waits, given_up = messages(server)
    assert waits == "Shutting down; waiting at most 0.5 s for 1 request."
    assert given_up == "The time is up; giving up 1 request without a queued prompt."
    assert sim.history == {}
