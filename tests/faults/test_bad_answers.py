"""A ComfyUI that answers wrongly, in part or not at all: its callers get an error of the right kind, and in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from comfybridge.request import GenerationRequest
from comfybridge.simulator import Simulator
from tests import graphs
from tests.faults.callers import Front
from tests.waiting import SECONDS, until_true
from tests.web.input_files import b64, loading, png

ANSWER = b'{"prompt_id": "x", "number": 1, "node_errors": {}}'
BAD_ANSWERS = [
    pytest.param({"status": 500, "body": b"oops"}, id="500"),
    pytest.param({"status": 200, "body": b"<html>Welcome</html>"}, id="HTML"),
    pytest.param({"status": 200, "body": b""}, id="empty"),
    pytest.param({"status": 200, "body": ANSWER, "cut": 20}, id="half"),
    pytest.param({"close": True}, id="closed"),
    pytest.param({"delay": 60.0, "status": 200}, id="nothing"),
]


@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_prompt_answers_badly_and_has_queued_nothing(
    make_front: Callable[..., Front], sim: Simulator, bad: dict[str, Any]
) -> None:
    front = make_front(read_timeout=1.5, connect_timeout=1.5)
    sim.fail_route("/prompt", method="POST", times=3, **bad)
    asked = [front.ask(wait=wait) for wait in ("hub", "websocket", "poll")]
    for each in asked:
        assert each.error() in {(502, "comfyui_error"), (503, "comfyui_unreachable")}
    assert not sim.history
    assert not [*sim.running, *sim.pending]
    assert len([each for each in sim.requests if (each.method, each.path) == ("POST", "/prompt")]) == 3


@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_prompt_answers_badly_and_has_queued_it(
    make_front: Callable[..., Front], sim: Simulator, bad: dict[str, Any]
) -> None:
    front = make_front(read_timeout=1.5, connect_timeout=1.5)
    sim.fail_route("/prompt", method="POST", times=3, handled=True, **bad)
    for each in [front.ask(wait=wait) for wait in ("hub", "websocket", "poll")]:
        each.picture()
    assert len(sim.history) == 3  # no prompt runs twice


@pytest.mark.parametrize("accept", ["application/json", "image/*", "image/webp", "application/zip"])
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        pytest.param({"status": 404}, (502, "comfyui_error"), id="404"),
        pytest.param({"status": 500}, (502, "comfyui_error"), id="500"),
        pytest.param(
            {"status": 200, "body": b"\x89PNG" + bytes(50_000), "cut": 20_000}, (502, "comfyui_error"), id="cut"
        ),
        pytest.param({"status": 200, "body": b"<html>busy</html>"}, (502, "comfyui_error"), id="a page"),
        pytest.param({"status": 200, "body": b""}, (502, "comfyui_error"), id="nothing"),
        pytest.param({"status": 200, "body": bytes(10_000), "drip": 0.05}, (504, "timeout"), id="slow"),
        pytest.param({"delay": 60.0, "status": 200}, (504, "timeout"), id="silent"),
    ],
)
def test_view_answers_badly(
    front: Front, sim: Simulator, bad: dict[str, Any], error: tuple[int, str], accept: str
) -> None:
    sim.fail_route("/view", times=None, **bad)
    asked = front.ask(timeout=0.8 if error == (504, "timeout") else SECONDS / 2, headers={"Accept": accept})
    assert asked.error() == error
    assert asked.took < SECONDS  # at its deadline, not when all bytes have arrived


def test_the_disk_is_full_at_an_upload(front: Front, sim: Simulator) -> None:
    sim.fail_route("/upload/image", 500, b"No space left on device", times=1)
    asked = front.ask(loading("cat.png"), images={"cat.png": b64(png())})
    assert asked.error() == (502, "comfyui_error")
    front.ask().picture()


@pytest.mark.parametrize("wait", ["hub", "websocket", "poll"])
@pytest.mark.parametrize("on_timeout", ["cancel", "keep"])
def test_a_request_that_nobody_waits_for_any_more(front: Front, sim: Simulator, wait: str, on_timeout: str) -> None:
    sim.hold()
    request = GenerationRequest(graph=graphs.picture(), wait=wait, on_timeout=on_timeout)  # type: ignore[arg-type]
    asked = front.ask()
    sim.wait_until_running()
    admitted = front.bridge.admit(request)
    submission = front.bridge.submit(admitted)
    front.bridge.abandon(admitted)
    with pytest.raises(Exception, match="hung up"), submission:
        front.bridge.wait(submission)
    assert (submission.prompt.id in sim.pending) == (on_timeout == "keep")
    sim.release()
    asked.picture()
    until_true(lambda: front.bridge.slots.taken == 0)


def test_one_of_two_servers_dies_under_load(make_front: Callable[..., Front], sim: Simulator) -> None:
    with Simulator(step_seconds=0) as other:
        front = make_front(comfyui_url=f"{sim.url}, {other.url}")
        for _ in range(4):
            front.ask().picture()
        sim.hold()
        other.hold()
        asked = [front.ask() for _ in range(12)]
        until_true(lambda: sum(len(each.running) + len(each.pending) for each in (sim, other)) == 12)
        on_other = len(other.running) + len(other.pending)
        other.kill()
        asked += [front.ask() for _ in range(12)]
        sim.release()
        errors = [each.error() for each in asked if each.response.status_code != 200]
        assert 1 <= len(errors) <= on_other
        assert set(errors) <= {(502, "prompt_lost"), (503, "comfyui_unreachable")}
