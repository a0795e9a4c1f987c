"""Blocking requests through a fleet of which something is missing: an agent, a model, the engine, the job."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from comfybridge.jobs.job import Job
from comfybridge.jobs.queue import JobQueue
from comfybridge.simulator import Simulator
from tests import graphs
from tests.jobs.fleet_callers import Calling, bridge_of, jobs_of
from tests.jobs.fleets import NatsServer, SmallFleet
from tests.waiting import SECONDS, until_true


def test_without_an_agent_requests_are_refused(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch, sim: Simulator
) -> None:
    monkeypatch.setattr("comfybridge.jobs.fleet.AGENT_SECONDS", 0.1)
    api = fleet.bridge()
    refused = api.post("/generate", json={"workflow": graphs.picture()})
    assert (refused.status_code, refused.get_json()["type"]) == (503, "comfyui_unreachable")
    assert "No agent is connected" in refused.get_json()["error"]
    assert refused.headers["Retry-After"] == "5"
    assert api.get("/ready").status_code == 503
    fleet.agent(sim)
    fleet.wait_for_agents(api, 1)
    assert api.get("/ready").status_code == 200
    assert api.post("/generate", json={"workflow": graphs.picture()}).status_code == 200


def test_a_job_goes_to_the_agent_that_has_its_model(fleet: SmallFleet) -> None:
    with Simulator(step_seconds=0) as first, Simulator(step_seconds=0) as second:
        first.checkpoints, second.checkpoints = ["a.safetensors"], ["b.safetensors"]
        api = fleet.bridge()
        fleet.agent(first, number=1)
        fleet.agent(second, number=2)
        fleet.wait_for_agents(api, 2)
        for name in ("b.safetensors", "a.safetensors", "b.safetensors"):
            assert api.post("/generate", json={"workflow": graphs.txt2img(name)}).status_code == 200
        assert (len(first.history), len(second.history)) == (1, 2)
        none = api.post("/generate", json={"workflow": graphs.txt2img("c.safetensors")})
        assert (none.status_code, none.get_json()["type"]) == (400, "invalid_workflow")
        assert "c.safetensors" in none.get_json()["error"]


def test_an_engine_that_is_away_is_named_soon(tmp_path: Path, sim: Simulator) -> None:
    with closing(NatsServer(tmp_path)) as server, closing(SmallFleet(tmp_path, server)) as fleet:
        api = fleet.bridge()
        fleet.agent(sim)
        fleet.wait_for_agents(api, 1)
        server.kill()
        refused = api.post("/generate", json={"workflow": graphs.picture()})  # it could wait for minutes
        assert (refused.status_code, refused.get_json()["type"]) == (503, "engine_unreachable")
        server.start()
        until_true(lambda: api.post("/generate", json={"workflow": graphs.picture()}).status_code == 200)


def test_an_engine_that_refuses_the_bridge_is_not_taken_for_one_without_agents(
    tmp_path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.fleet.ENGINE_SECONDS", 0.5)
    with closing(NatsServer(tmp_path)) as server, closing(SmallFleet(tmp_path, server)) as fleet:
        fleet.agent(sim)
        server.addresses["bridge"] = f"nats://bridge:wrong@127.0.0.1:{server.port}"
        api = fleet.bridge()
        answers = [api.post("/generate", json={"workflow": graphs.picture()})]
        answers += [api.get(path) for path in ("/ready", "/stats", "/queue", "/models")]
        for each in answers:
            assert (each.status_code, each.get_json()["type"]) == (503, "engine_unreachable")
            assert "does not accept the user and password" in each.get_json()["error"]
            assert each.headers["Retry-After"] == "5"


@pytest.mark.parametrize("when", ["queued", "running"])
def test_callers_wait_through_a_restart_of_the_engine(tmp_path: Path, sim: Simulator, when: str) -> None:
    with closing(NatsServer(tmp_path)) as server, closing(SmallFleet(tmp_path, server)) as fleet:
        api = fleet.bridge()
        fleet.agent(sim)
        fleet.wait_for_agents(api, 1)
        sim.hold()
        calls = [Calling(api, {"workflow": graphs.picture()}) for _ in range(2)]  # one waits, one runs
        sim.wait_until_running()
        jobs = jobs_of(api)
        until_true(lambda: len(jobs.parts().board.open()) == 2)
        server.kill()
        if when == "running":
            sim.release()  # so that the first one ends while the engine is away
            sim.wait_until_idle()
        server.start()
        if when == "queued":
            until_true(lambda: len(jobs.parts().board.open()) == 2)
            sim.release()
        assert [each.answer.status_code for each in calls] == [200, 200]
        assert len(sim.history) == 2


def test_a_prompt_that_runs_goes_on_where_it_is_while_the_engine_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.fleet.LOOK_SECONDS", 0.05)
    sims = [Simulator(step_seconds=0), Simulator(step_seconds=0)]
    with closing(NatsServer(tmp_path)) as server, sims[0], sims[1], closing(SmallFleet(tmp_path, server)) as fleet:
        api = fleet.bridge()
        for number, sim in enumerate(sims, 1):
            fleet.agent(sim, number=number)
            sim.hold()
        fleet.wait_for_agents(api, 2)
        calling = Calling(api, {"workflow": graphs.picture()})
        until_true(lambda: sims[0].running or sims[1].running)
        jobs = jobs_of(api).parts()
        until_true(lambda: any(each.running for each in jobs.presence.living()))
        server.kill()
        server.start()
        until_true(lambda: jobs.engine.is_connected and not jobs.board.open())
        time.sleep(0.5)  # ten times what the bridge waits before it looks for the job
        for sim in sims:
            sim.release()
        assert calling.answer.status_code == 200
        assert len(sims[0].history) + len(sims[1].history) == 1


def test_a_job_that_is_gone_when_its_agent_begins_it_is_taken_again(
    tmp_path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.fleet.LOOK_SECONDS", 0.05)
    has_claimed, go_on = threading.Event(), threading.Event()
    request_of = JobQueue.request_of

    def request_of_later(queue: JobQueue, job: Job) -> bytes:
        has_claimed.set()
        assert go_on.wait(SECONDS)
        return request_of(queue, job)

    monkeypatch.setattr(JobQueue, "request_of", request_of_later)
    with closing(NatsServer(tmp_path)) as server, closing(SmallFleet(tmp_path, server)) as fleet:
        api = fleet.bridge()
        agent = fleet.agent(sim)
        fleet.wait_for_agents(api, 1)
        calling = Calling(api, {"workflow": graphs.picture()})
        assert has_claimed.wait(SECONDS)
        jobs = jobs_of(api).parts()
        until_true(lambda: any(each.running for each in jobs.presence.living()))
        server.kill()
        server.start()
        until_true(lambda: not agent.queue.board.open())
        go_on.set()
        assert calling.answer.status_code == 200


def test_a_caller_who_hangs_up_after_a_restart_of_the_engine_ends_the_prompt(tmp_path: Path, sim: Simulator) -> None:
    with closing(NatsServer(tmp_path)) as server, closing(SmallFleet(tmp_path, server)) as fleet:
        api = fleet.bridge()
        fleet.agent(sim)
        fleet.wait_for_agents(api, 1)
        sim.hold()
        calling = Calling(api, {"workflow": graphs.picture(), "timeout": 30})
        sim.wait_until_running()
        jobs = jobs_of(api).parts()
        until_true(lambda: any(each.running for each in jobs.presence.living()))
        server.kill()
        server.start()
        until_true(lambda: jobs.engine.is_connected)
        until_true(lambda: not jobs.board.open())
        bridge_of(api).shut_down()
        assert calling.answer.get_json()["type"] == "shutting_down"
        until_true(lambda: any(each.path == "/interrupt" for each in sim.requests))
        sim.release()
