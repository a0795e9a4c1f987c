"""The engine stopped, killed, or with its disk full."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.fleet.accounts import PATIENCE, body_of
from tests.fleet.callers import call
from tests.fleet.fleet import Fleet
from tests.waiting import until_true

MANY = 40


def test_jobs_go_on_after_the_engine_was_stopped(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    fleet.submit(bridge, "long", steps=100, webhook=fleet.receiver.url)
    fleet.wait_until_began("long")
    fleet.submit(bridge, "waiting", webhook=fleet.receiver.url)
    engine.stop()
    answer = requests.post(f"{bridge.url}/jobs", json=body_of("refused"), timeout=PATIENCE)
    assert (answer.status_code, answer.json()["type"]) == (503, "engine_unreachable")
    assert "Retry-After" in answer.headers
    assert answer.elapsed.total_seconds() < 5
    engine.start()
    engine.wait_until_ready()
    fleet.check(bridge)
    assert not fleet.runs().began["refused"]


def test_no_accepted_job_is_lost_when_the_engine_is_killed_again_and_again(fleet: Fleet) -> None:
    """A job that runs meanwhile may run again; the others must not."""
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    agents = [fleet.agent(engine, fleet.comfyui()) for _ in range(2)]
    refused: list[str] = []
    is_enough = threading.Event()

    def submit(name: int) -> None:
        number = 0
        while not is_enough.is_set():
            number += 1
            label = f"job{name}-{number}"
            answer = requests.post(f"{bridge.url}/jobs", json=body_of(label), timeout=PATIENCE)
            if answer.status_code == 202:
                fleet.jobs.accepted(answer.json()["id"], label)
            else:
                assert answer.status_code == 503, answer.text
                refused.append(label)
                time.sleep(0.05)

    kills = 3
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(submit, name) for name in range(4)]
        try:
            for _ in range(kills):
                before = len(fleet.jobs.labels)
                until_true(lambda before=before: len(fleet.jobs.labels) > before + 10, PATIENCE)
                engine.kill_and_start()
        finally:
            is_enough.set()
        for each in sent:
            each.result(PATIENCE)
    fleet.check(bridge, again=kills * len(agents))
    ran = [label for label in refused if fleet.runs().began[label]]
    assert not ran, "jobs ran that were refused"


def test_blocked_callers_get_their_pictures_although_the_engine_is_killed(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for _ in range(2):
        fleet.agent(engine, fleet.comfyui())
    fleet.wait_for_agents(bridge, 2)
    callers = call(bridge.url, [f"call{number}" for number in range(MANY)], steps=10)
    until_true(lambda: engine.records.open_jobs("live") >= MANY // 2)
    engine.kill_and_start()
    for each in callers:
        each.check()
    assert fleet.runs().again().total() <= 2  # those that ran
    until_true(lambda: engine.records.open_jobs("live") == 0)


def test_a_bridge_starts_its_own_engine_again_that_was_killed(fleet: Fleet) -> None:
    bridge = fleet.bridge(comfyui_url=fleet.comfyui().url)
    fleet.submit(bridge, "long", steps=100)
    fleet.wait_until_began("long")
    fleet.submit(bridge, "waiting")
    fleet.kill_embedded_engine(bridge)
    until_true(lambda: _is_accepted(fleet, bridge.url), PATIENCE)
    fleet.check(bridge)


def _is_accepted(fleet: Fleet, url: str) -> bool:
    answer = requests.post(f"{url}/jobs", json=body_of("afterwards"), timeout=PATIENCE)
    if answer.status_code == 202:
        fleet.jobs.accepted(answer.json()["id"], "afterwards")
    return answer.status_code == 202
