"""Thousands of waiting jobs, and those of many callers."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.fleet.accounts import PATIENCE, body_of, state
from tests.fleet.fleet import Bridge, Fleet
from tests.waiting import until_true

BACK_SECONDS = 5.0


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.by_hand)])
def test_all_waiting_jobs_are_back_after_the_engine_was_killed(fleet: Fleet, count: int) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda number: fleet.submit(bridge, f"job{number}", steps=0), range(count)))
    engine.kill_and_start()
    began = time.monotonic()
    last = ids[-1]
    until_true(lambda: _is_accepted(bridge), PATIENCE)
    took = time.monotonic() - began
    assert state(bridge.url, last)["status"] == "queued"
    assert engine.records.open_jobs("kept") == count + 1
    assert took < BACK_SECONDS
    if count <= 1000:
        fleet.agent(engine, fleet.comfyui(step_seconds=0))
        fleet.settle(bridge, 2 * PATIENCE)
        assert all(each == 1 for each in fleet.runs().began.values())


def _is_accepted(bridge: Bridge) -> bool:
    return requests.post(f"{bridge.url}/jobs", json=body_of("one more"), timeout=PATIENCE).status_code == 202


def test_the_jobs_of_one_key_do_not_hold_up_those_of_another(fleet: Fleet, tmp_path: Path) -> None:
    engine, comfyui = fleet.engine(), fleet.comfyui(step_seconds=0.02)
    bridge = fleet.bridge(engine, api_keys="greedy=greedy-key-0123456789,modest=modest-key-0123456789")
    greedy, modest = ({"Authorization": f"Bearer {name}-key-0123456789"} for name in ("greedy", "modest"))

    def submit(number: int) -> None:
        answer = requests.post(
            f"{bridge.url}/jobs", json=body_of(f"greedy{number}"), headers=greedy, timeout=PATIENCE
        )
        assert answer.status_code == 202, answer.text

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(submit, range(200)))
    agent = fleet.agent(engine, comfyui)
    fleet.wait_until_began("greedy0", 0)
    until_true(lambda: fleet.runs().began.total() >= 3)
    for number in range(5):
        before = fleet.runs().began.total()
        answer = requests.post(
            f"{bridge.url}/jobs", json=body_of(f"modest{number}"), headers=modest, timeout=PATIENCE
        )
        assert answer.status_code == 202
        began = fleet.runs().began.total()
        fleet.wait_until_began(f"modest{number}")
        order = [line.split()[0] for line in comfyui.runs.read_text().splitlines() if line.endswith("began")]
        place = order.index(f"modest{number}")
        assert place <= began + 1, f"its place is {place}, {before} had begun when it was sent, {began} afterwards"
    agent.kill()
    json.dumps(order)
