"""Agents that are killed, suspended or stopped while they run jobs."""

from __future__ import annotations

from tests.fleet.callers import call
from tests.fleet.fleet import Fleet


def _labels(count: int, name: str = "job") -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def test_the_jobs_of_a_killed_agent_run_again_elsewhere(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for _ in range(2):
        fleet.agent(engine, fleet.comfyui())
    long = fleet.submit(bridge, "long", steps=150, webhook=fleet.receiver.url)
    fleet.wait_until_began("long")
    for label in _labels(6):
        fleet.submit(bridge, label, webhook=fleet.receiver.url)
    victim = fleet.agent_of(bridge, long)
    victim.kill()
    found = fleet.check(bridge, again=2)
    assert found["long"]["attempts"] == 2
    assert found["long"]["agent"] != victim.name


def test_a_restarted_agent_finds_the_prompt_that_its_comfyui_still_runs(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge, comfyui = fleet.bridge(engine), fleet.comfyui()
    agent = fleet.agent(engine, comfyui)
    fleet.submit(bridge, "job", steps=300)
    fleet.wait_until_began("job")
    agent.kill()
    agent.start()
    found = fleet.check(bridge)
    assert found["job"]["attempts"] == 2


def test_the_late_result_of_a_suspended_agent_does_not_count(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for _ in range(2):
        fleet.agent(engine, fleet.comfyui())
    job = fleet.submit(bridge, "job", steps=100, webhook=fleet.receiver.url)
    fleet.wait_until_began("job")
    sleeper = fleet.agent_of(bridge, job)
    sleeper.suspend()
    found = fleet.settle(bridge)
    assert found["job"]["status"] == "succeeded"
    sleeper.resume()
    fleet.submit(bridge, "afterwards")  # nothing is wrong with either of them
    fleet.submit(bridge, "afterwards too")
    after = fleet.check(bridge, again={"job"})
    assert after["job"]["agent"] == found["job"]["agent"] != sleeper.name


def test_a_blocked_caller_gets_its_picture_from_another_agent(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    agents = [fleet.agent(engine, fleet.comfyui()) for _ in range(2)]
    fleet.wait_for_agents(bridge, 2)
    callers = call(bridge.url, _labels(2, "long"), steps=100) + call(bridge.url, _labels(4))
    for label in _labels(2, "long"):
        fleet.wait_until_began(label)
    agents[0].kill()
    for each in callers:
        each.check()
    assert fleet.runs().again().total() <= 2  # what it ran, and what it may have begun while a result was stored


def test_an_agent_that_is_asked_to_end_leaves_nothing_behind(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge, comfyuis = fleet.bridge(engine), [fleet.comfyui(), fleet.comfyui()]
    first = fleet.agent(engine, comfyuis[0])
    fleet.submit(bridge, "running", steps=100)
    fleet.wait_until_began("running")
    fleet.submit(bridge, "waiting")
    first.stop()
    assert first.exit_code == 0
    fleet.agent(engine, comfyuis[1])
    found = fleet.check(bridge, again={"running"})
    assert found["waiting"]["agent"] != first.name


def test_a_job_that_takes_its_machine_down_each_time_fails_in_the_end(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge, comfyui = fleet.bridge(engine), fleet.comfyui()
    agent = fleet.agent(engine, comfyui)
    fleet.submit(bridge, "killer", steps=10_000, webhook=fleet.receiver.url)
    fleet.submit(bridge, "innocent", steps=0, webhook=fleet.receiver.url)
    for times in (1, 2, 3):
        fleet.wait_until_began("killer", times)
        comfyui.kill()
        agent.kill()
        comfyui.start()
        agent.start()
    found = fleet.check(bridge, again={"killer"}, failed={"killer"})
    assert fleet.runs().began["killer"] == 3
    assert found["killer"]["attempts"] == 3
    assert "3 times" in found["killer"]["error"]["error"]
