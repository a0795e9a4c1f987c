"""The stop of a server: what it waits for, for how long, and what becomes of what it does not wait for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from comfybridge.simulator import Simulator
from tests.serving.servers import GUNICORN, PYTHON_APP, WAITRESS, Server, Start, free_port
from tests.serving.stopped import Caller, messages
from tests.waiting import SECONDS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a word")
SERVERS = [
    pytest.param(PYTHON_APP, id="python app.py"),
    pytest.param(GUNICORN, id="gunicorn"),
    pytest.param(WAITRESS, id="waitress"),
]
PROMPTS = re.compile(r"[0-9a-f-]{36}")


@pytest.fixture
def start(sim: Simulator) -> Iterator[Start]:
    started: list[Server] = []

    def start(arguments: list[str], **environment: str) -> Server:
        given = {"COMFYUI_URL": sim.url, "COMFYBRIDGE_PORT": free_port(), "COMFYBRIDGE_LOG_FORMAT": "json"}
        started.append(Server(arguments, **{**given, **environment}))
        return started[-1]

    yield start
    for server in started:
        server.end()


@pytest.mark.parametrize("arguments", SERVERS)
def test_what_has_not_finished_in_time_is_cancelled_and_its_caller_told(
    start: Start, sim: Simulator, arguments: list[str]
) -> None:
    server = start(arguments, COMFYBRIDGE_SHUTDOWN_TIMEOUT="0.5")
    sim.hold()
    running, waiting, kept = Caller(server), Caller(server), Caller(server, on_timeout="keep")
    sim.wait_until_queued(3)
    os.killpg(server.process.pid, signal.SIGTERM)
    for caller in (running, waiting):
        body = caller.answered().json()
        assert (caller.answered().status_code, body["type"]) == (503, "shutting_down")
        assert body["error"] == "The bridge is shutting down; the prompt was cancelled."
    body = kept.answered().json()
    assert body["error"] == "The bridge is shutting down; the prompt is kept, and its results can be fetched later."
    assert kept.answered().headers["Retry-After"] == "5"
    assert server.process.wait(SECONDS) == 0
    sim.release()
    sim.wait_until_idle()
    assert [sim.history[body["prompt_id"]]["status"]["status_str"]] == ["success"]
    others = {running.answered().json()["prompt_id"], waiting.answered().json()["prompt_id"]}
    assert all(sim.history[each]["status"]["status_str"] == "error" for each in others & sim.history.keys())
    waits, cancels, keeps = messages(server)
    # one may just have been queued, so that the bridge does not know it yet
    assert waits.startswith("Shutting down; waiting at most 0.5 s for 3 requests")
    assert set(PROMPTS.findall(waits)) <= {*others, body["prompt_id"]}
    assert cancels == f"The time is up; cancelling prompts {', '.join(sorted(others))}."
    assert keeps == f"The time is up; keeping prompt {body['prompt_id']} in ComfyUI's queue."


@pytest.mark.parametrize("arguments", SERVERS)
def test_without_a_bound_it_waits_longer_than_any_request_may_take(
    start: Start, sim: Simulator, arguments: list[str]
) -> None:
    server = start(arguments, COMFYBRIDGE_MAX_TIMEOUT="400")
    sim.hold()
    caller = Caller(server)
    sim.wait_until_running()
    server.stop(signal.SIGTERM)
    sim.release()
    assert caller.answered().status_code == 200
    assert server.process.wait(SECONDS) == 0
    assert messages(server)[0].startswith("Shutting down; waiting at most 460 s for 1 request")


@pytest.mark.parametrize("arguments", SERVERS)
def test_where_nothing_runs_it_ends_at_once(start: Start, arguments: list[str]) -> None:
    server = start(arguments)
    os.killpg(server.process.pid, signal.SIGTERM)
    assert server.process.wait(SECONDS) == 0
    assert messages(server) == ["Shutting down; no request is running."]


@pytest.mark.parametrize("arguments", SERVERS)
def test_a_second_ctrl_c_ends_the_wait_and_cancels(start: Start, sim: Simulator, arguments: list[str]) -> None:
    server = start(arguments)
    sim.hold()
    caller = Caller(server)
    sim.wait_until_held()
    server.stop(signal.SIGINT)
    os.killpg(server.process.pid, signal.SIGINT)
    assert caller.answered().json()["type"] == "shutting_down"
    assert server.process.wait(SECONDS) == 0
    sim.wait_until_idle()
    [entry] = sim.history.values()
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


def test_a_comfyui_that_is_asleep_holds_up_no_stop(start: Start, sim: Simulator) -> None:
    server = start(PYTHON_APP, COMFYBRIDGE_SHUTDOWN_TIMEOUT="0")
    sim.hold()
    caller = Caller(server)
    sim.wait_until_running()
    sim.suspend()
    os.killpg(server.process.pid, signal.SIGTERM)
    try:
        server.process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail("the bridge waits for ComfyUI")
    finally:
        sim.resume()
    body = caller.answered().json()
    assert (body["type"], body["error"]) == (
        "shutting_down",
        "The bridge is shutting down; the prompt could not be cancelled.",
    )
