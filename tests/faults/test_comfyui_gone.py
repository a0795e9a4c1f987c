"""A ComfyUI that is killed, restarted or suspended while prompts run and wait on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from comfybridge import GenerationRequest
from comfybridge.errors import Interrupted
from comfybridge.simulator import Simulator
from tests import graphs
from tests.faults.callers import LONG, Front
from tests.waiting import until_true

GONE = {(502, "prompt_lost"), (503, "comfyui_unreachable")}


def test_killed(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each()  # one of them runs, the others wait
    sim.kill()
    assert {each.error() for each in asked.values()} <= GONE


def test_restarted_with_an_empty_history(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each()
    sim.restart()
    assert {each.error() for each in asked.values()} == {(502, "prompt_lost")}


@pytest.mark.parametrize("downtime", [5.5], ids=["after 5.5 s"])
def test_retries_run_the_prompt_again_once_comfyui_is_back(front: Front, sim: Simulator, downtime: float) -> None:
    sim.hold()
    asked = front.ask_each(retries=1)
    queued_before = [*sim.running, *sim.pending]
    sim.restart(downtime)
    sim.release()
    for each in asked.values():
        assert each.picture()["prompt_id"] not in queued_before
    assert len(sim.history) == 3


def test_retries_end_with_the_deadline(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each(retries=5, timeout=6)
    sim.kill()
    for each in asked.values():
        assert each.error() in {(503, "comfyui_unreachable"), (504, "timeout")}


def test_a_prompt_that_was_only_out_of_reach_is_not_run_again(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each(retries=1)
    prompt_ids = {*sim.running, *sim.pending}
    sim.fail_route("/", 502, times=None)  # a proxy that has lost ComfyUI
    for path in ("/queue", "/history", "/prompt", "/ws"):
        sim.fail_route(path, 502, times=None)
    sim.drop_sockets()
    until_true(lambda: all(not server.in_flight for server in front.bridge.servers.all))  # the prompts are given up
    sim.heal()
    sim.release()
    assert {each.picture()["prompt_id"] for each in asked.values()} == prompt_ids
    assert len(sim.history) == 3


def test_suspended_until_the_time_is_up(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each(timeout=4.5)
    sim.suspend()
    for each in asked.values():
        assert each.error() == (504, "timeout")
        assert each.took > 4.4
    sim.resume()
    until_true(lambda: not sim.pending)  # waiting prompts are cancelled as soon as it learns of that
    sim.release()


def test_suspended_before_anything_is_asked(front: Front, sim: Simulator) -> None:
    sim.suspend()
    asked = [front.ask(timeout=1.5, wait=wait) for wait in ("hub", "websocket", "poll")]
    for each in asked:
        assert each.error() == (504, "timeout")
    sim.resume()


def test_suspended_and_awake_again(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each()
    sim.suspend()
    threading.Event().wait(4)  # longer than any waiter tolerates silence before it asks
    sim.resume()
    sim.release()
    for each in asked.values():
        each.picture()


def test_no_patience_is_left_over_from_an_earlier_outage(make_front: Callable[..., Front], sim: Simulator) -> None:
    front = make_front()
    sim.hold()
    first = front.ask(wait="hub")
    sim.wait_until_running()
    sim.kill()
    assert first.error() in GONE
    sim.revive()
    sim.release()
    front.ask(wait="hub").picture()
    sim.hold()
    second = front.ask(wait="hub")
    sim.wait_until_running()
    for path in ("/queue", "/history", "/prompt"):
        sim.fail_route(path, 502, times=1)  # a brief failure
    sim.drop_sockets()
    threading.Event().wait(1.5)
    assert not second.is_over
    sim.release()
    second.picture()


def test_the_clock_set_back(front: Front, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.hold()
    asked = front.ask_each(timeout=20)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    sim.release()
    for each in asked.values():
        body = each.picture()
        assert body["timings"]["total"] < 20
        assert (body["timings"]["queued"] or 0) >= 0
    answer = front.app.test_client().post("/generate", json={"workflow": graphs.picture(), "timeout": 0.3})
    assert answer.status_code == 200


def test_who_hangs_up_while_comfyui_is_gone_frees_the_slot(front: Front, sim: Simulator) -> None:
    admitted = front.bridge.admit(GenerationRequest(graph=graphs.picture(), retries=5, timeout=10 * LONG))
    sim.hold()
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            with front.bridge.generating(admitted):
                pass
        except Interrupted as error:
            ended.append(error)

    thread = threading.Thread(target=ask, name="caller")
    thread.start()
    sim.wait_until_running()
    sim.kill()
    until_true(lambda: not len(front.bridge.under_way))  # it waits for ComfyUI to return
    front.bridge.abandon(admitted)
    until_true(lambda: front.bridge.slots.taken == 0)
    thread.join(LONG)
    assert ended
    sim.revive()
