"""Requests for several prompts of which one fails, or whose caller, time or ComfyUI is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.errors import ComfyUIError
from comfybridge.simulator import Simulator
from tests import graphs
from tests.faults.callers import WAITERS, Asked, Front
from tests.waiting import until_true
from tests.web.answers import failure, success

MakeFront = Callable[..., Front]
KEY = {"Idempotency-Key": "order 4711"}

EACH_WAY = pytest.mark.parametrize("wait", WAITERS)


@pytest.fixture
def graph(sim: Simulator) -> dict[str, Any]:
    return graphs.txt2img(sim.checkpoints[0], seed=5)


def times_queued(sim: Simulator) -> int:
    return sum((each.method, each.path) == ("POST", "/prompt") for each in sim.requests)


def held(front: Front, sim: Simulator, graph: dict[str, Any], **fields: Any) -> Asked:
    """A caller who waits for three prompts, of which the first runs and takes no step."""
    sim.hold_steps()
    asked = front.ask(graph, n=3, **fields)
    sim.wait_until_queued(3)
    sim.wait_until_running()
    until_true(lambda: len(front.bridge.under_way) == 3)
    return asked


@EACH_WAY
def test_one_that_fails_names_itself_and_ends_the_others(
    front: Front, sim: Simulator, graph: dict[str, Any], wait: str
) -> None:
    sim.hold_steps()  # of those that don't fail before they sample
    sim.fail_node("CheckpointLoaderSimple", "out of memory", times=1)
    asked = front.ask(graph, n=3, wait=wait)
    body = failure(asked.response, 500, "execution_failed")
    assert body["error"].startswith("Prompt 1 of 3 (seed 5): ")
    assert "out of memory" in body["error"]
    assert body["node"]["id"] == "4"
    sim.wait_until_idle()
    assert body["prompt_id"] in sim.history
    assert not any("8" in entry["outputs"] for entry in sim.history.values())


@EACH_WAY
def test_one_that_is_cancelled_ends_the_others(
    front: Front, sim: Simulator, graph: dict[str, Any], wait: str
) -> None:
    asked = held(front, sim, graph, wait=wait)
    second = sim.pending[0]
    assert front.app.test_client().post(f"/cancel/{second}").get_json()["was"] == "pending"
    body = failure(asked.response, 409, "interrupted")
    assert body["error"].startswith("Prompt 2 of 3 (seed 6): ")
    assert body["prompt_id"] == second
    sim.wait_until_idle()


@EACH_WAY
def test_when_the_time_is_up_all_are_cancelled(
    front: Front, sim: Simulator, graph: dict[str, Any], wait: str
) -> None:
    asked = held(front, sim, graph, wait=wait, timeout=2)
    assert "Prompt " in failure(asked.response, 504, "timeout")["error"]
    sim.wait_until_idle()


def test_when_the_time_is_up_all_are_kept_where_that_is_asked(
    front: Front, sim: Simulator, graph: dict[str, Any]
) -> None:
    asked = held(front, sim, graph, timeout=2, on_timeout="keep")
    ids = [*sim.running, *sim.pending]
    failure(asked.response, 504, "timeout")
    sim.release()
    sim.wait_until_idle()
    api = front.app.test_client()
    assert [success(api.get(f"/results/{each}"))["seed"] for each in ids] == [5, 6, 7]


@EACH_WAY
def test_when_the_caller_hangs_up_all_are_cancelled(
    front: Front, sim: Simulator, graph: dict[str, Any], wait: str
) -> None:
    sim.hold_steps()
    answer = front.app.test_client().post(
        "/generate",
        json={"workflow": graph, "n": 3, "wait": wait},
        headers={"Accept": "text/event-stream"},
        buffered=False,
    )
    next(answer.iter_encoded())
    sim.wait_until_queued(3)
    answer.close()
    sim.wait_until_idle()


def test_on_shutdown_all_are_cancelled(front: Front, sim: Simulator, graph: dict[str, Any]) -> None:
    asked = held(front, sim, graph)
    front.bridge.shut_down()
    failure(asked.response, 503, "shutting_down")
    assert sim.pending == []
    sim.wait_until_idle()


def test_those_that_were_lost_are_queued_again(front: Front, sim: Simulator, graph: dict[str, Any]) -> None:
    asked = held(front, sim, graph, retries=1)
    before = [*sim.running, *sim.pending]
    sim.kill()
    sim.release()
    sim.revive()
    body = success(asked.response)
    assert body["seeds"] == [5, 6, 7]
    assert set(body["prompt_ids"]).isdisjoint(before)


def test_one_that_cannot_be_queued_takes_those_before_it_out_again(
    front: Front, sim: Simulator, graph: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_prompt, times = ComfyUIClient.queue_prompt, [0]

    def refuse_the_third(self: ComfyUIClient, *args: Any) -> Any:
        times[0] += 1
        if times[0] == 3:
            raise ComfyUIError("No more.")
        return queue_prompt(self, *args)

    monkeypatch.setattr(ComfyUIClient, "queue_prompt", refuse_the_third)
    sim.hold_steps()
    body = failure(front.ask(graph, n=4).response, 502, "comfyui_error")
    assert body["error"] == "Prompt 3 of 4 (seed 7): No more."
    sim.wait_until_idle()
    assert times == [3]


# -- repeats


def test_a_repeat_gets_the_same_prompts(make_front: MakeFront, sim: Simulator) -> None:
    first, other = make_front(), make_front()  # like two processes
    fields = {"workflow": "txt2img", "width": 64, "height": 64, "steps": 1, "n": 3}  # their seeds are drawn
    sim.hold()
    asked = [first.ask(headers=KEY, **fields)]
    sim.wait_until_queued(3)
    asked += [front.ask(headers=KEY, **fields) for front in (first, other)]
    until_true(lambda: len(first.bridge.under_way) + len(other.bridge.under_way) == 9)
    sim.release()
    bodies = [each.picture((64, 64)) for each in asked]
    bodies.append(other.ask(headers=KEY, **fields).picture((64, 64)))
    assert len({tuple(body["prompt_ids"]) for body in bodies}) == 1
    assert len({tuple(body["seeds"]) for body in bodies}) == 1
    assert len({tuple(body["images"]) for body in bodies}) == 1
    assert times_queued(sim) == 3


def test_a_repeat_runs_again_what_was_cancelled_with_the_same_seed(make_front: MakeFront, sim: Simulator) -> None:
    fields = {"workflow": "txt2img", "width": 64, "height": 64, "steps": 1, "n": 3}
    front = make_front()
    sim.hold()
    asked = front.ask(headers=KEY, **fields)
    sim.wait_until_queued(3)
    second = sim.pending[0]
    assert front.app.test_client().post(f"/cancel/{second}").get_json()["was"] == "pending"
    failure(asked.response, 409, "interrupted")
    assert len(sim.pending) == 1  # a repeat may come for the others
    sim.release()
    body = make_front().ask(headers=KEY, **fields).picture((64, 64))
    first_seed = body["seeds"][0]
    assert body["seeds"] == [first_seed, first_seed + 1, first_seed + 2]
    assert body["prompt_ids"][1] == second
    assert times_queued(sim) == 4


def test_a_key_belongs_to_a_number_of_prompts(front: Front, graph: dict[str, Any]) -> None:
    front.ask(graph, headers=KEY, n=2).picture((64, 64))
    failure(front.ask(graph, headers=KEY, n=3).response, 409, "idempotency_conflict")
    failure(front.ask(graph, headers=KEY).response, 409, "idempotency_conflict")
