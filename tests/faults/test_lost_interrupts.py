"""Cancelled prompts that run on, because ComfyUI forgot the interrupt: it is repeated, for them and for no others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import requests

from comfybridge.comfyui import interrupting
from comfybridge.prompts.giving_up import Abandoned
from comfybridge.request import GenerationRequest
from comfybridge.simulator import Simulator
from comfybridge.simulator.version import NEWEST, OLDEST
from tests import graphs
from tests.faults.callers import Front
from tests.waiting import until_true

MakeFront = Callable[..., Front]
KEY = {"Idempotency-Key": "order 4711"}


@pytest.fixture(params=[NEWEST, OLDEST])
def sim(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    with Simulator(step_seconds=0, version=request.param) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """See soon whether a prompt still runs that was told to stop."""
    monkeypatch.setattr(interrupting, "PAUSES", (0.05, 0.05, 0.05))


def interrupts(sim: Simulator) -> list[str]:
    """The ids of the prompts that ComfyUI was asked to interrupt."""
    return [each.body["prompt_id"] for each in sim.requests if each.path.endswith("/interrupt")]


def times_interrupted(sim: Simulator, prompt_id: str) -> int:
    """How often ComfyUI was asked to interrupt a prompt, which no other may have been."""
    found = interrupts(sim)
    assert set(found) <= {prompt_id}
    return len(found)


def until_looked_after(front: Front) -> None:
    """Until nobody sees to it any more that cancelled prompts stop."""
    until_true(lambda: not [each for each in threading.enumerate() if each.name == "comfybridge interrupter"])


def stranger(sim: Simulator) -> str:
    body = {"prompt": graphs.picture(), "client_id": "stranger"}
    return str(requests.post(f"{sim.url}/prompt", json=body, timeout=5).json()["prompt_id"])


def test_a_cancel_that_was_forgotten_is_repeated(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask()
    sim.wait_until_running()
    (prompt_id,) = sim.running
    sim.forget_interrupts(2)
    assert front.app.test_client().post(f"/cancel/{prompt_id}").get_json()["was"] == "running"
    assert asked.error() == (409, "interrupted")
    sim.wait_until_idle()
    assert times_interrupted(sim, prompt_id) >= 3


def test_the_cancel_of_a_prompt_out_of_time_is_repeated(front: Front, sim: Simulator) -> None:
    sim.hold()
    sim.forget_interrupts(1)
    asked = front.ask(timeout=1)
    assert asked.error() == (504, "timeout")
    sim.wait_until_idle()
    assert times_interrupted(sim, asked.response.get_json()["prompt_id"]) >= 2


def test_the_cancel_for_a_caller_who_hung_up_is_repeated(front: Front, sim: Simulator) -> None:
    sim.hold()
    sim.forget_interrupts(1)
    admitted = front.bridge.admit(GenerationRequest(graph=graphs.picture(), timeout=30))
    submission = front.bridge.submit(admitted)
    sim.wait_until_running(submission.prompt.id)
    front.bridge.abandon(admitted)
    with pytest.raises(Abandoned), submission:
        front.bridge.wait(submission)
    sim.wait_until_idle()
    assert times_interrupted(sim, submission.prompt.id) >= 2
    assert front.bridge.slots.taken == 0


def test_the_prompt_that_runs_next_is_left_alone(front: Front, sim: Simulator) -> None:
    sim.hold()
    front.ask()
    sim.wait_until_running()
    (prompt_id,) = sim.running
    next_one = stranger(sim)
    front.app.test_client().post(f"/cancel/{prompt_id}")
    sim.wait_until_running(next_one)
    until_looked_after(front)
    assert sim.running == [next_one]
    assert times_interrupted(sim, prompt_id) >= 1
    sim.release()


def test_the_same_request_asked_again_under_its_key_is_left_alone(
    front: Front, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its prompt has the same id as the one that was cancelled."""
    monkeypatch.setattr(interrupting, "PAUSES", (1.0,))
    sim.hold()
    first = front.ask(headers=KEY)
    sim.wait_until_running()
    (prompt_id,) = sim.running
    front.app.test_client().post(f"/cancel/{prompt_id}")
    assert first.error() == (409, "interrupted")
    again = front.ask(headers=KEY)
    sim.wait_until_running(prompt_id)
    until_looked_after(front)
    assert sim.running == [prompt_id]
    assert times_interrupted(sim, prompt_id) >= 1
    sim.release()
    assert again.picture()["prompt_id"] == prompt_id


def test_it_is_not_repeated_for_ever(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask()
    sim.wait_until_running()
    (prompt_id,) = sim.running
    sim.forget_interrupts(1000)
    front.app.test_client().post(f"/cancel/{prompt_id}")
    until_looked_after(front)
    assert times_interrupted(sim, prompt_id) == 1 + len(interrupting.PAUSES)
    sim.release()
    asked.picture()


def test_it_goes_on_when_comfyui_does_not_answer_in_between(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask()
    sim.wait_until_running()
    (prompt_id,) = sim.running
    sim.forget_interrupts(1)
    client = front.app.test_client()
    assert client.post(f"/cancel/{prompt_id}").get_json()["was"] == "running"
    for path in ("/jobs", "/queue"):
        sim.fail_route(path, status=502, method="GET", times=1)
    assert asked.error() == (409, "interrupted")


def test_what_waits_is_deleted_and_never_interrupted(front: Front, sim: Simulator) -> None:
    sim.hold()
    first = front.ask()
    sim.wait_until_running()
    asked = front.ask(timeout=1)
    assert asked.error() == (504, "timeout")
    assert len(sim.running) == 1
    assert sim.pending == []
    assert interrupts(sim) == []
    sim.release()
    first.picture()
