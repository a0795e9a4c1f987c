"""ComfyUIs that are killed, restarted, or forget what they did, while jobs run on them."""

from __future__ import annotations

import requests

from tests.fleet.accounts import PATIENCE
from tests.fleet.callers import call
from tests.fleet.fleet import Fleet


def test_a_job_runs_again_after_its_comfyui_was_killed_and_restarted(fleet: Fleet) -> None:
    engine, comfyui = fleet.engine(), fleet.comfyui()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, comfyui)
    fleet.submit(bridge, "running", steps=100, webhook=fleet.receiver.url)
    fleet.wait_until_began("running")
    fleet.submit(bridge, "waiting", webhook=fleet.receiver.url)
    comfyui.kill_and_start()
    fleet.check(bridge, again={"running"})


def test_jobs_go_to_other_agents_while_a_comfyui_is_away(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge, comfyuis = fleet.bridge(engine), [fleet.comfyui(), fleet.comfyui()]
    agents = {fleet.agent(engine, each).name: each for each in comfyuis}
    job = fleet.submit(bridge, "running", steps=100)
    fleet.wait_until_began("running")
    agents[fleet.agent_of(bridge, job).name].kill()
    for number in range(6):
        fleet.submit(bridge, f"waiting{number}")
    fleet.check(bridge, again={"running"})


def test_jobs_wait_for_the_only_comfyui(fleet: Fleet) -> None:
    engine, comfyui = fleet.engine(), fleet.comfyui()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, comfyui)
    fleet.wait_for_agents(bridge, 1)
    comfyui.kill()
    jobs = [fleet.submit(bridge, f"waiting{number}") for number in range(4)]
    fleet.wait_seconds(2 * fleet.lease)  # it is tried, and must not count
    comfyui.start()
    found = fleet.check(bridge)
    assert {found[fleet.jobs.labels[each]]["attempts"] for each in jobs} == {1}


def test_a_job_runs_again_if_its_comfyui_has_forgotten_that_it_ran(fleet: Fleet) -> None:
    """Its agent sleeps while it ends, and finds neither prompt nor history when it wakes."""
    engine, comfyui = fleet.engine(), fleet.comfyui()
    bridge = fleet.bridge(engine)
    agent = fleet.agent(engine, comfyui)
    fleet.submit(bridge, "job", steps=50)
    fleet.wait_until_began("job")
    agent.suspend()
    fleet.wait_until_ended("job")
    requests.post(f"{comfyui.url}/history", json={"clear": True}, timeout=PATIENCE)
    comfyui.drop_sockets()
    agent.resume()
    fleet.check(bridge, again={"job"})


def test_a_blocked_caller_is_told_of_a_failure_as_without_a_fleet(fleet: Fleet) -> None:
    engine, comfyui = fleet.engine(), fleet.comfyui()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, comfyui)
    fleet.wait_for_agents(bridge, 1)
    (caller,) = call(bridge.url, ["job"], steps=100)
    fleet.wait_until_began("job")
    requests.post(f"{comfyui.url}/interrupt", json={}, timeout=PATIENCE)
    assert (caller.answer.status_code, caller.answer.json()["type"]) == (409, "interrupted")
