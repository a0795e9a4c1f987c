"""Jobs that are cancelled while they wait, while they run, or just as they end."""

from __future__ import annotations

import threading

import requests

from tests.fleet.accounts import PATIENCE, cancel, state
from tests.fleet.fleet import Fleet
from tests.waiting import until_true


def test_a_waiting_job_that_is_cancelled_never_runs(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    endless = fleet.submit(bridge, "endless", steps=100_000)
    fleet.wait_until_began("endless")
    waiting = {f"waiting{number}": fleet.submit(bridge, f"waiting{number}") for number in range(10)}
    gone = {label: job_id for number, (label, job_id) in enumerate(waiting.items()) if number % 2}
    for job_id in gone.values():
        assert cancel(bridge.url, job_id) == "cancelled"
    assert cancel(bridge.url, endless) == "cancelled"
    fleet.check(bridge, cancelled={*gone, "endless"})
    assert not [label for label in gone if fleet.runs().began[label]]


def test_a_running_job_that_is_cancelled_is_interrupted(fleet: Fleet) -> None:
    engine, comfyui = fleet.engine(), fleet.comfyui()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, comfyui)
    job = fleet.submit(bridge, "endless", steps=100_000, webhook=fleet.receiver.url)
    fleet.wait_until_began("endless")
    assert cancel(bridge.url, job) == "cancelled"
    until_true(lambda: comfyui.queue_length() == 0, PATIENCE)
    fleet.submit(bridge, "next")
    fleet.check(bridge, cancelled={"endless"})
    assert not fleet.runs().ended["endless"]


def test_a_job_whose_cancelled_agent_was_cut_off_is_interrupted_later(fleet: Fleet) -> None:
    engine, comfyui = fleet.engine(), fleet.comfyui()
    bridge = fleet.bridge(engine)
    agent = fleet.agent(engine, comfyui)
    job = fleet.submit(bridge, "endless", steps=100_000)
    fleet.wait_until_began("endless")
    agent.suspend()
    assert cancel(bridge.url, job) in ("cancelling", "cancelled")
    until_true(lambda: state(bridge.url, job)["status"] == "cancelled", PATIENCE)  # the agent counts as dead
    agent.resume()
    until_true(lambda: comfyui.queue_length() == 0, PATIENCE)
    fleet.check(bridge, cancelled={"endless"})


def test_a_job_that_is_cancelled_as_it_ends_has_one_end(fleet: Fleet) -> None:
    """What the caller who cancels is told is what everybody is told."""
    engine, comfyui = fleet.engine(), fleet.comfyui()
    bridges = [fleet.bridge(engine), fleet.bridge(engine)]
    fleet.agent(engine, comfyui)
    told: dict[str, str] = {}
    ids: dict[str, str] = {}
    for number in range(16):
        label = f"job{number}"
        ids[label] = job = fleet.submit(bridges[0], label, steps=3, webhook=fleet.receiver.url)
        fleet.wait_until_began(label)
        threading.Event().wait(0.01 * (number % 8))  # from its first step until after its end
        told[label] = cancel(bridges[number % 2].url, job)
    gone = {label for label, status in told.items() if status == "cancelled"}
    for each in bridges:
        fleet.check(each, cancelled=gone)
    assert set(told.values()) <= {"cancelled", "succeeded"}
    history = requests.get(f"{comfyui.url}/history", timeout=PATIENCE).json()
    ran = {label for label, job in ids.items() if job in history and history[job]["status"]["completed"]}
    assert ran == ids.keys() - gone
    assert not fleet.runs().again()
