"""Prompts that are interrupted, cancelled or deleted while somebody waits for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from comfybridge.simulator import Simulator
from tests import graphs
from tests.faults.callers import Asked, Front
from tests.waiting import until_true


def prompt_ids(sim: Simulator) -> list[str]:
    return [*sim.running, *sim.pending]


def check(asked: dict[str, Asked], error: tuple[int, str]) -> None:
    """Each ended so, and not when its time was up."""
    assert {wait: each.error() for wait, each in asked.items()} == dict.fromkeys(asked, error)


@pytest.mark.parametrize("muted", [False, True], ids=["told", "untold"])
def test_interrupted_by_somebody_else(front: Front, sim: Simulator, muted: bool) -> None:
    sim.hold_steps(after=1)
    graph = graphs.txt2img(sim.checkpoints[0], steps=5)
    asked = front.ask_each(graph=graph)
    if muted:
        sim.mute()
    for _ in asked:
        sim.wait_until_running()
        (running,) = sim.running
        requests.post(f"{sim.url}/interrupt", json={"prompt_id": running}, timeout=5)
        until_true(lambda: running not in sim.running)  # noqa: B023  # called right here
    check(asked, (409, "interrupted"))


def test_cancelled_through_the_bridge_while_it_waits(
    front: Front, sim: Simulator, quiet_seconds: Callable[[float], None]
) -> None:
    quiet_seconds(600)  # nothing has to be looked up
    sim.hold()
    theirs = front.ask()
    sim.wait_until_running()
    asked = front.ask_each()
    client = front.app.test_client()
    for prompt_id in sim.pending:
        assert client.post(f"/cancel/{prompt_id}").get_json()["was"] == "pending"
    check(asked, (409, "interrupted"))
    sim.release()
    theirs.picture()


def test_cancelled_through_another_bridge_process_while_it_waits(front: Front, sim: Simulator) -> None:
    """ComfyUI keeps no trace of it; the processes of a machine tell each other."""
    sim.hold()
    theirs = front.ask()
    sim.wait_until_running()
    asked = front.ask_each()
    other = Front(sim)
    for prompt_id in sim.pending:
        other.app.test_client().post(f"/cancel/{prompt_id}")
    other.bridge.close()
    check(asked, (409, "interrupted"))
    sim.release()
    theirs.picture()


def test_cancelled_through_the_bridge_while_it_runs(front: Front, sim: Simulator) -> None:
    sim.hold_steps(after=1)
    asked = front.ask_each(graph=graphs.txt2img(sim.checkpoints[0], steps=5))
    client = front.app.test_client()
    for _ in asked:
        sim.wait_until_running()
        (running,) = sim.running
        assert client.post(f"/cancel/{running}").get_json()["was"] == "running"
        until_true(lambda: running not in sim.running)  # noqa: B023  # called right here
    check(asked, (409, "interrupted"))


def test_deleted_from_the_queue_by_somebody_else(
    front: Front, sim: Simulator, quiet_seconds: Callable[[float], None]
) -> None:
    quiet_seconds(0.3)
    sim.hold()
    theirs = front.ask()
    sim.wait_until_running()
    asked = front.ask_each()
    requests.post(f"{sim.url}/queue", json={"clear": True}, timeout=5)
    check(asked, (502, "prompt_lost"))
    sim.release()
    theirs.picture()
