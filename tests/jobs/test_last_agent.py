"""Blocking requests whose last agent, or the last that can run them, goes away."""

from __future__ import annotations

import threading

import pytest
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from comfybridge.web.current import JOBS
from tests import graphs
from tests.jobs.fleet_callers import Calling
from tests.jobs.fleets import SmallFleet
from tests.waiting import SECONDS, until_true


def test_a_request_does_not_wait_its_whole_time_where_no_agent_is_left(
    fleet: SmallFleet, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.fleet.GONE_SECONDS", 0.2)
    api = fleet.bridge()
    agent = fleet.agent(sim)
    fleet.wait_for_agents(api, 1)
    sim.hold()
    answers: list[TestResponse] = []
    asked = {"workflow": graphs.picture(), "timeout": 2 * SECONDS}
    caller = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked)), daemon=True)
    caller.start()
    sim.wait_until_running()
    agent.stop(0.0)
    caller.join(SECONDS)
    [answer] = answers
    assert (answer.status_code, answer.get_json()["type"]) == (503, "comfyui_unreachable")
    assert "No agent is connected" in answer.get_json()["error"]
    assert answer.headers["Retry-After"] == "5"
    board = api.application.extensions[JOBS].parts().board
    until_true(lambda: board.count() == 0)  # nothing runs for a caller who has gone


def test_a_request_does_not_wait_its_whole_time_for_a_model_that_only_a_dead_agent_had(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.fleet.GONE_SECONDS", 0.2)
    api = fleet.bridge()
    asked = {"workflow": graphs.txt2img("rare.safetensors"), "timeout": 2 * SECONDS}
    with Simulator(checkpoints=["rare.safetensors"]) as rare, Simulator() as other:
        agent = fleet.agent(rare)
        fleet.wait_for_agents(api, 1)
        rare.hold()
        calling = Calling(api, asked)
        rare.wait_until_running()
        fleet.agent(other, number=2)
        fleet.wait_for_agents(api, 2)
        agent.stop(0.0)
        answer = calling.answer
    assert (answer.status_code, answer.get_json()["type"]) == (503, "comfyui_unreachable")
    assert answer.get_json()["error"] == "No agent has the model rare.safetensors."
