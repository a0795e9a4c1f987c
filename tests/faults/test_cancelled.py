"""Prompts that are interrupted, cancelled or deleted while somebody waits for them."""

from __future__ import annotations

import time

import pytest
import requests

from comfybridge.simulator import Simulator
from tests import graphs
from tests.faults.callers import Asked, Front


def prompt_ids(sim: Simulator) -> list[str]:
    return [*sim.running, *sim.pending]


def check(asked: dict[str, Asked], began: float, error: tuple[int, str], seconds: float) -> None:
    assert {wait: each.error() for wait, each in asked.items()} == dict.fromkeys(asked, error)
    assert max(each.ended for each in asked.values()) - began < seconds


@pytest.mark.parametrize("muted", [False, True], ids=["told", "untold"])
def test_interrupted_by_somebody_else(front: Front, sim: Simulator, muted: bool) -> None:
    sim.hold_steps(after=1)
    graph = graphs.txt2img(sim.checkpoints[0], steps=5)
    asked = front.ask_each(graph=graph)
    if muted:
        sim.mute()
    began = time.monotonic()
    for _ in asked:
        sim.wait_until_running()
        (running,) = sim.running
        requests.post(f"{sim.url}/interrupt", json={"prompt_id": running}, timeout=5)
        while running in sim.running:
            time.sleep(0.01)
    check(asked, began, (409, "interrupted"), 6)


def test_cancelled_through_the_bridge_while_it_waits(front: Front, sim: Simulator) -> None:
    sim.hold()
    theirs = front.ask()
    sim.wait_until_running()
    asked = front.ask_each()
    client = front.app.test_client()
    began = time.monotonic()
    for prompt_id in sim.pending:
        assert client.post(f"/cancel/{prompt_id}").get_json()["was"] == "pending"
    check(asked, began, (409, "interrupted"), 1)  # nothing has to be found out
    sim.release()
    theirs.picture()


def test_cancelled_through_another_bridge_process_while_it_waits(front: Front, sim: Simulator) -> None:
    """ComfyUI keeps no trace of it; the processes of a machine tell each other."""
    sim.hold()
    theirs = front.ask()
    sim.wait_until_running()
    asked = front.ask_each()
    other = Front(sim)
    began = time.monotonic()
    for prompt_id in sim.pending:
        other.app.test_client().post(f"/cancel/{prompt_id}")
    other.bridge.close()
    check(asked, began, (409, "interrupted"), 6)
    sim.release()
    theirs.picture()


def test_cancelled_through_the_bridge_while_it_runs(front: Front, sim: Simulator) -> None:
    sim.hold_steps(after=1)
    asked = front.ask_each(graph=graphs.txt2img(sim.checkpoints[0], steps=5))
    client = front.app.test_client()
    began = time.monotonic()
    for _ in asked:
        sim.wait_until_running()
        (running,) = sim.running
        assert client.post(f"/cancel/{running}").get_json()["was"] == "running"
        while running in sim.running:
            time.sleep(0.01)
    check(asked, began, (409, "interrupted"), 6)


def test_deleted_from_the_queue_by_somebody_else(front: Front, sim: Simulator) -> None:
    sim.hold()
    theirs = front.ask()
    sim.wait_until_running()
    asked = front.ask_each()
    began = time.monotonic()
    requests.post(f"{sim.url}/queue", json={"clear": True}, timeout=5)
    check(asked, began, (502, "prompt_lost"), 6)
    sim.release()
    theirs.picture()
