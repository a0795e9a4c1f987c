"""ComfyUI's job list: used where it is, and done without where it is missing, broken, or comes and goes."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from comfybridge.comfyui import jobs
from comfybridge.comfyui.waiting import poll, waiter
from comfybridge.comfyui.waiting import websocket as socket
from comfybridge.prompts.giving_up import Abandoned
from comfybridge.request import GenerationRequest
from comfybridge.simulator import Simulator
from comfybridge.simulator.version import NEWEST, OLDEST
from tests import graphs
from tests.faults.callers import WAITERS, Front
from tests.waiting import until_true


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up what was quiet for 0.2 s instead of 3."""
    for module in (waiter, socket, poll):
        monkeypatch.setattr(module, "QUIET_SECONDS", 0.2)


def stranger(sim: Simulator, **fields: Any) -> str:
    body = {"prompt": graphs.picture(), "client_id": "stranger", **fields}
    return str(requests.post(f"{sim.url}/prompt", json=body, timeout=5).json()["prompt_id"])


def looks(sim: Simulator) -> set[str]:
    """What of the queue and the job list was asked for."""
    paths = {each.path for each in sim.requests if each.method == "GET"}
    return {"/".join(path.split("/")[:3]) for path in paths if path.startswith(("/queue", "/api/jobs"))}


def test_what_is_quiet_is_looked_up_without_anybody_s_graph(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each()
    sim.mute()
    sim.forget_requests()
    until_true(lambda: sum(each.path.startswith("/api/jobs") for each in sim.requests) >= 6)
    assert looks(sim) == {"/api/jobs"}
    sim.release()
    for each in asked.values():
        each.picture()


def test_a_list_that_somebody_breaks_is_done_without(front: Front, sim: Simulator) -> None:
    sim.hold()
    first = stranger(sim)
    sim.wait_until_running(first)
    stranger(sim, extra_data={"extra_pnginfo": None}, number=99)
    assert requests.get(f"{sim.url}/api/jobs", timeout=5).status_code == 500
    asked = front.ask_each()
    (waiting, *_) = [each for each in sim.pending if each != first]
    client = front.app.test_client()
    assert len(client.get("/queue").get_json()["pending"]) == 1 + len(WAITERS)
    assert client.get(f"/results/{waiting}").get_json()["status"] == "pending"
    sim.mute()
    sim.release()
    for each in asked.values():
        each.picture()


def test_what_is_lost_is_found_out_with_a_broken_list_too(front: Front, sim: Simulator) -> None:
    sim.hold()
    first = stranger(sim)
    sim.wait_until_running(first)
    asked = front.ask_each()
    sim.fail_route("/jobs", times=None)
    requests.post(f"{sim.url}/queue", json={"clear": True}, timeout=5)
    assert {each.error() for each in asked.values()} == {(502, "prompt_lost")}
    sim.release()


@pytest.mark.parametrize("versions", [(NEWEST, OLDEST), (OLDEST, NEWEST)], ids=["downgraded", "upgraded"])
def test_another_version_after_a_restart_is_noticed(
    front: Front, sim: Simulator, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LEFT_ALONE_SECONDS", 0.0)
    client = front.app.test_client()
    for version in versions:
        sim.kill()
        sim.version = version
        sim.revive()
        sim.hold()
        running = stranger(sim)
        sim.wait_until_running(running)
        sim.forget_requests()
        assert client.get("/queue").get_json()["running"] == [{"prompt_id": running, "server": sim.url}]
        assert ("/queue" in looks(sim)) == (version == OLDEST)
        assert client.post(f"/cancel/{running}").get_json()["was"] == "running"
        sim.wait_until_idle()
        sim.release()


def test_a_server_without_a_list_is_asked_for_it_once(sim: Simulator) -> None:
    with Simulator(step_seconds=0, version=OLDEST) as older:
        front = Front(older)
        client = front.app.test_client()
        for _ in range(5):
            assert client.get("/queue").status_code == 200
        assert sum(each.path.startswith("/api/jobs") for each in older.requests) == 1
        front.bridge.close()


def test_many_who_hang_up_while_they_wait_cost_no_interrupt(front: Front, sim: Simulator) -> None:
    """ComfyUI copies its whole queue for each of them."""
    sim.hold()
    first = front.ask()
    sim.wait_until_running()
    given = [front.bridge.admit(GenerationRequest(graph=graphs.picture(), timeout=30)) for _ in range(10)]
    submissions = [front.bridge.submit(each) for each in given]
    for admitted, submission in zip(given, submissions, strict=True):
        front.bridge.abandon(admitted)
        with pytest.raises(Abandoned), submission:
            front.bridge.wait(submission)
    assert sim.pending == []
    assert not [each for each in sim.requests if each.path == "/interrupt"]
    assert "/queue" not in looks(sim)
    sim.release()
    first.picture()
