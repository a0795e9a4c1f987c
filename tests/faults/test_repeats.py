"""Requests that are asked again under an Idempotency-Key, after whatever became of the first one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from comfybridge import Bridge, GenerationRequest
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from tests import graphs
from tests.faults.callers import WAITERS, Front
from tests.waiting import until_true

KEY = {"Idempotency-Key": "order 4711"}

MakeFront = Callable[..., Front]


def times_queued(sim: Simulator) -> int:
    return sum((each.method, each.path) == ("POST", "/prompt") for each in sim.requests)


@pytest.mark.parametrize("wait", WAITERS)
def test_a_repeat_while_it_runs_or_waits_gets_the_same_picture(
    make_front: MakeFront, sim: Simulator, wait: str
) -> None:
    first, other = make_front(), make_front()  # like two processes, or one before and after a restart
    graph = graphs.picture()
    sim.hold()
    asked = [first.ask(graph, headers=KEY, wait=wait)]
    sim.wait_until_queued(1)
    asked += [front.ask(graph, headers=KEY, wait=wait) for front in (first, other)]
    until_true(lambda: len(first.bridge.under_way) + len(other.bridge.under_way) == 3)
    sim.release()
    bodies = [each.picture() for each in asked]
    assert len({body["prompt_id"] for body in bodies}) == 1
    assert bodies[0]["images"] == bodies[1]["images"] == bodies[2]["images"]
    assert times_queued(sim) == 1


def test_a_repeat_after_it_finished_gets_the_same_picture(make_front: MakeFront, sim: Simulator) -> None:
    fields = {"workflow": "txt2img", "prompt": "a cat", "width": 64, "height": 64, "steps": 1}
    first = make_front().ask(headers=KEY, **fields).picture((64, 64))
    again = make_front().ask(headers=KEY, **fields).picture((64, 64))
    assert (again["prompt_id"], again["images"]) == (first["prompt_id"], first["images"])
    assert (again["seed"], again["params"]) == (first["seed"], first["params"])
    assert times_queued(sim) == 1


def test_repeats_in_the_same_instant_are_told_apart(make_front: MakeFront, sim: Simulator) -> None:
    fronts = [make_front(), make_front()]
    graph = graphs.picture()
    asked = [fronts[number % 2].ask(graph, headers=KEY) for number in range(8)]
    assert len({each.picture()["prompt_id"] for each in asked}) == 1
    assert times_queued(sim) == 1


def test_a_repeat_may_be_more_patient_and_wait_otherwise(front: Front, sim: Simulator) -> None:
    graph = graphs.picture()
    first = front.ask(graph, headers=KEY, timeout=20).picture()
    again = front.ask(graph, headers=KEY, timeout=10, wait="poll", retries=3, on_timeout="keep").picture()
    assert again["prompt_id"] == first["prompt_id"]


@pytest.mark.parametrize(
    "change",
    [{"output": {"format": "webp"}}, {"params": {"1.width": 65}}, {"extra_data": {"a": 1}}, {"graph": {}}],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("finished", [False, True], ids=["while it runs", "after it finished"])
def test_another_request_with_the_same_key_is_refused(
    front: Front, sim: Simulator, change: dict[str, Any], finished: bool
) -> None:
    graph = graphs.picture()
    if not finished:
        sim.hold()
    first = front.ask(graph, headers=KEY)
    if finished:
        first.picture()
    else:
        sim.wait_until_queued(1)
    other = {**change, "graph": graphs.picture()} if "graph" in change else {"graph": graph, **change}
    assert front.ask(headers=KEY, **other).error() == (409, "idempotency_conflict")
    sim.release()
    first.picture()


def test_another_key_is_another_request(front: Front, sim: Simulator) -> None:
    graph = graphs.picture()
    ids = {front.ask(graph, headers={"Idempotency-Key": key}).picture()["prompt_id"] for key in ("a", "b", "A")}
    assert len(ids) == 3


def test_another_owner_s_key_is_another_request(sim: Simulator) -> None:
    graph = graphs.picture()
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        ids = {
            bridge.generate(GenerationRequest(graph=graph, idempotency_key="a"), owner=owner).prompt_id
            for owner in (None, "shop", "blog")
        }
    assert len(ids) == 3


def test_what_failed_is_told_again_and_does_not_run_again(front: Front, sim: Simulator) -> None:
    sim.fail_node("EmptyImage", "out of paint", times=1)
    graph = graphs.picture()
    assert front.ask(graph, headers=KEY).error() == (500, "execution_failed")
    assert front.ask(graph, headers=KEY).error() == (500, "execution_failed")
    assert times_queued(sim) == 1


@pytest.mark.parametrize("wait", WAITERS)
def test_what_was_cancelled_while_it_ran_runs_again(front: Front, sim: Simulator, wait: str) -> None:
    graph = graphs.txt2img(sim.checkpoints[0], steps=3)
    sim.hold_steps(after=1)
    first = front.ask(graph, headers=KEY, wait=wait)
    sim.wait_until_running()
    front.app.test_client().post(f"/cancel/{sim.running[0]}")
    assert first.error() == (409, "interrupted")
    sim.release()
    again = front.ask(graph, headers=KEY, wait=wait).picture((64, 64))
    assert again["prompt_id"] == first.response.get_json()["prompt_id"]


def test_what_was_cancelled_while_it_waited_runs_again(front: Front, sim: Simulator) -> None:
    graph = graphs.picture()
    sim.hold()
    first = front.ask(graph, headers=KEY)
    sim.wait_until_running()
    pending = front.ask(graph, headers={"Idempotency-Key": "another"})
    sim.wait_until_pending(1)
    front.app.test_client().post(f"/cancel/{sim.pending[0]}")
    assert pending.error() == (409, "interrupted")
    again = front.ask(graph, headers={"Idempotency-Key": "another"})
    sim.wait_until_pending(1)
    sim.release()
    first.picture()
    again.picture()


def test_images_that_only_a_websocket_carried_are_made_again(make_front: MakeFront, sim: Simulator) -> None:
    graph = graphs.picture(save="SaveImageWebsocket")
    first = make_front().ask(graph, headers=KEY).picture()
    again = make_front().ask(graph, headers=KEY).picture()
    assert (again["prompt_id"], again["images"]) == (first["prompt_id"], first["images"])
    assert times_queued(sim) == 2


def test_a_repeat_after_comfyui_forgot_it_runs_again(front: Front, sim: Simulator) -> None:
    graph = graphs.picture()
    first = front.ask(graph, headers=KEY).picture()
    requests.post(f"{sim.url}/history", json={"clear": True}, timeout=5)
    assert front.ask(graph, headers=KEY).picture()["prompt_id"] == first["prompt_id"]
    assert times_queued(sim) == 2


@pytest.mark.parametrize("is_other", [False, True], ids=["in the same process", "in another process"])
def test_an_impatient_repeat_does_not_cancel_what_another_waits_for(
    make_front: MakeFront, sim: Simulator, is_other: bool
) -> None:
    front = make_front()
    graph = graphs.picture()
    sim.hold()
    first = front.ask(graph, headers=KEY)
    sim.wait_until_running()
    impatient = (make_front() if is_other else front).ask(graph, headers=KEY, timeout=0.3)
    assert impatient.error() == (504, "timeout")
    assert "kept" in impatient.response.get_json()["error"]
    sim.release()
    first.picture()


@pytest.mark.parametrize("muted", [False, True], ids=["told", "untold"])
def test_what_was_stopped_behind_the_first_one_s_back_is_run_for_both(
    front: Front, sim: Simulator, muted: bool
) -> None:
    graph = graphs.txt2img(sim.checkpoints[0], steps=3)
    sim.hold()
    running = front.ask()
    sim.wait_until_running()
    first = front.ask(graph, headers=KEY)
    sim.wait_until_pending(1)
    if muted:
        sim.mute()
    requests.post(f"{sim.url}/queue", json={"clear": True}, timeout=5)
    again = front.ask(graph, headers=KEY)
    sim.wait_until_pending(1)
    sim.release()
    assert first.picture((64, 64))["prompt_id"] == again.picture((64, 64))["prompt_id"]
    running.picture()


def test_who_is_done_does_not_take_the_ear_of_who_repeats(sim: Simulator) -> None:
    graph = graphs.picture(save="SaveImageWebsocket")
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        first = bridge.submit(bridge.admit(GenerationRequest(graph=graph, idempotency_key="a")))
        bridge.wait(first)
        sim.wait_until_idle()
        sim.hold()
        second = bridge.submit(bridge.admit(GenerationRequest(graph=graph, idempotency_key="a", timeout=20)))
        first.close()
        sim.release()
        assert bridge.wait(second).frames


@pytest.mark.parametrize("is_other", [False, True], ids=["in the same process", "in another process"])
@pytest.mark.parametrize("save", ["SaveImageWebsocket", "both"])
def test_a_repeat_never_lacks_the_images_that_a_websocket_carried(
    make_front: MakeFront, sim: Simulator, save: str, is_other: bool
) -> None:
    graph = graphs.picture(save="SaveImageWebsocket")
    if save == "both":
        graph["3"] = graphs.node("SaveImage", images=["1", 0], filename_prefix="test")
    front = make_front()
    other = make_front() if is_other else front
    sim.hold()
    first = front.ask(graph, headers=KEY)
    sim.wait_until_running()
    again = other.ask(graph, headers=KEY)
    until_true(lambda: len(front.bridge.under_way) + len(other.bridge.under_way) >= 2)
    sim.release()
    assert len(first.picture()["images"]) == len(again.picture()["images"]) == (2 if save == "both" else 1)


def test_many_who_wait_for_the_same_prompt_are_no_load(make_front: MakeFront, sim: Simulator) -> None:
    graph = graphs.picture()
    first, other = make_front(), make_front()
    sim.hold()
    asked = [first.ask(graph, headers=KEY)]
    sim.wait_until_running()
    asked += [other.ask(graph, headers=KEY) for _ in range(20)]
    until_true(lambda: len(other.bridge.under_way) == 20)
    sim.forget_requests()
    until_true(lambda: sum(each.path == "/api/jobs" for each in sim.requests) >= 2)
    assert not [each for each in sim.requests if each.path == "/queue"]
    assert not [each for each in sim.requests if each.path.startswith("/history")]
    sim.release()
    for each in asked:
        each.picture()


def test_the_same_request_may_be_asked_for_in_another_form(front: Front, sim: Simulator) -> None:
    graph = graphs.picture()
    accepts = ("image/webp", "application/json", "text/event-stream", "application/zip", "image/*")
    answers = [front.ask(graph, headers={**KEY, "Accept": accept}).response for accept in accepts]
    assert [each.status_code for each in answers] == [200] * len(accepts)
    assert [each.headers["Content-Type"].split(";")[0] for each in answers] == [*accepts[:4], "image/png"]
    assert len({each.headers["X-Prompt-Id"] for each in answers}) == 1
    assert times_queued(sim) == 1


def test_what_was_stopped_on_one_server_and_runs_on_another_is_found_there(
    make_front: MakeFront, sim: Simulator
) -> None:
    graph = graphs.txt2img(sim.checkpoints[0], steps=3)
    with Simulator(step_seconds=0) as second:
        sim.hold_steps(after=1)
        first = make_front().ask(graph, headers=KEY)
        sim.wait_until_running()
        make_front().app.test_client().post(f"/cancel/{sim.running[0]}")
        assert first.error() == (409, "interrupted")
        second.hold()
        elsewhere = make_front(comfyui_url=second.url)
        runs = elsewhere.ask(graph, headers=KEY)
        second.wait_until_running()
        both = make_front(comfyui_url=f"{sim.url},{second.url}")
        again = both.ask(graph, headers=KEY)
        until_true(lambda: len(both.bridge.under_way) == 1)
        second.release()
        assert runs.picture((64, 64))["prompt_id"] == again.picture((64, 64))["prompt_id"]
        assert times_queued(sim) + times_queued(second) == 2
        for each in (elsewhere, both):
            each.bridge.close()
        sim.release()


def test_a_repeat_finds_the_server_that_has_it(make_front: MakeFront, sim: Simulator) -> None:
    graph = graphs.picture()
    with Simulator(step_seconds=0) as second:
        fronts = [make_front(comfyui_url=f"{sim.url},{second.url}") for _ in range(4)]
        bodies = [front.ask(graph, headers=KEY).picture() for front in fronts]
        assert len({body["prompt_id"] for body in bodies}) == 1
        assert times_queued(sim) + times_queued(second) == 1
        for front in fronts:
            front.bridge.close()


def test_a_caller_whose_connection_was_cut_gets_the_picture(front: Front, sim: Simulator) -> None:
    """The first answer is lost on its way; nothing tells the bridge, so the prompt goes on."""
    graph = graphs.picture()
    sim.hold()
    front.ask(graph, headers=KEY)
    sim.wait_until_running()
    again = front.ask(graph, headers=KEY)
    sim.release()
    again.picture()
    assert times_queued(sim) == 1


@pytest.mark.parametrize("key", ["", " ", "a\tb", "ü", "x" * 256])
def test_what_can_be_no_key_is_refused(front: Front, key: str) -> None:
    response = front.app.test_client().post("/generate", json={}, headers={"Idempotency-Key": key})
    assert (response.status_code, response.get_json()["type"]) == (400, "invalid_request")


def test_without_a_key_nothing_is_repeated(front: Front, sim: Simulator) -> None:
    graph = graphs.picture()
    assert front.ask(graph).picture()["prompt_id"] != front.ask(graph).picture()["prompt_id"]
