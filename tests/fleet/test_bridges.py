"""Bridges that are killed with jobs and with blocked callers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.fleet.accounts import PATIENCE, body_of, state
from tests.fleet.callers import Caller, call
from tests.fleet.fleet import Bridge, Fleet
from tests.waiting import until_true

MANY = 10


def test_jobs_outlive_the_bridge_that_accepted_them(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge, other = fleet.bridge(engine), fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    long = fleet.submit(bridge, "long", steps=100, webhook=fleet.receiver.url)
    fleet.wait_until_began("long")
    for number in range(MANY):
        fleet.submit(bridge, f"job{number}", webhook=fleet.receiver.url)
    bridge.kill()
    assert state(other.url, long)["status"] == "running"
    fleet.check(other)
    bridge.start()
    bridge.wait_until_up()
    fleet.check(bridge)


def test_nothing_is_left_of_callers_whose_bridge_was_killed(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge, other = fleet.bridge(engine), fleet.bridge(engine)
    comfyui = fleet.comfyui()
    fleet.agent(engine, comfyui)
    fleet.wait_for_agents(bridge, 1)
    fleet.wait_for_agents(other, 1)
    body, key = body_of("keyed", steps=100), {"Idempotency-Key": "the same"}
    first = Caller(bridge.url, "keyed", body, key)
    fleet.wait_until_began("keyed")
    callers = call(bridge.url, [f"job{number}" for number in range(MANY)], steps=30)
    until_true(lambda: engine.records.open_jobs("live") >= MANY)
    bridge.kill()
    for each in [first, *callers]:
        assert each.join().error is not None
    # a caller with a key asks again, elsewhere, and gets the picture of the run that was under way
    Caller(other.url, "keyed", body, key).check()
    until_true(lambda: comfyui.queue_length() == 0 and engine.records.open_jobs("live") == 0, PATIENCE)
    assert fleet.runs().began["keyed"] == 1
    assert not fleet.runs().again()
    bridge.start()
    bridge.wait_until_up()


def test_what_a_killed_bridge_has_accepted_is_done(fleet: Fleet) -> None:
    """Requests are on their way while it is killed: those with a 202 are done, the others once or not at all."""
    engine = fleet.engine()
    bridge, other = fleet.bridge(engine), fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui(step_seconds=0))
    lost: list[str] = []
    is_under_way = threading.Event()

    def submit(number: int) -> None:
        label = f"job{number}"
        if number == MANY:
            is_under_way.set()
        try:
            fleet.submit(bridge, label)
        except requests.RequestException:
            lost.append(label)

    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(submit, number) for number in range(4 * MANY)]
        assert is_under_way.wait(PATIENCE)
        bridge.kill()
        for each in sent:
            each.result(PATIENCE)
    assert fleet.jobs.labels
    assert lost
    fleet.check(other, unknown=8)
    assert all(count == 1 for count in fleet.runs().began.values())
    bridge.start()
    bridge.wait_until_up()


def test_a_bridge_with_an_engine_of_its_own_goes_on_where_it_was_killed(fleet: Fleet) -> None:
    comfyui = fleet.comfyui()
    bridge = fleet.bridge(comfyui_url=comfyui.url)
    fleet.submit(bridge, "long", steps=200, webhook=fleet.receiver.url)
    fleet.wait_until_began("long")
    for number in range(MANY):
        fleet.submit(bridge, f"job{number}", webhook=fleet.receiver.url)
    bridge.kill_and_start()
    fleet.check(bridge)
    bridge.stop()
    assert bridge.exit_code == 0
    bridge.start()
    bridge.wait_until_up()
    fleet.check(bridge)


def test_a_bridge_that_is_asked_to_end_goes_on_with_its_jobs_later(fleet: Fleet) -> None:
    comfyui = fleet.comfyui()
    bridge = fleet.bridge(comfyui_url=comfyui.url)
    fleet.submit(bridge, "long", steps=300)
    fleet.wait_until_began("long")
    fleet.submit(bridge, "waiting")
    bridge.stop()
    assert bridge.exit_code == 0
    fleet.check_nothing_left(10, besides=comfyui)
    bridge.start()
    bridge.wait_until_up()
    fleet.check(bridge)


def test_a_repeated_request_is_one_job(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridges = [fleet.bridge(engine), fleet.bridge(engine)]
    fleet.agent(engine, fleet.comfyui())
    body = body_of("job", steps=50)

    def submit(bridge: Bridge) -> str:
        answer = requests.post(f"{bridge.url}/jobs", json=body, headers={"Idempotency-Key": "one"}, timeout=PATIENCE)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(submit, bridges * 4))
    (job_id,) = ids
    fleet.jobs.accepted(job_id, "job")
    fleet.check(bridges[0])
    assert submit(bridges[1]) == job_id
    fleet.check(bridges[1])
    assert fleet.runs().began["job"] == 1
