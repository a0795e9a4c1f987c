"""Progress and interrupt without an id, as dialects offer them that know none (`shapes.py` is one)."""

from __future__ import annotations

import base64
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.prompts.processes import Machine
from comfybridge.prompts.submission import Submission
from comfybridge.prompts.under_way import UnderWay
from comfybridge.simulator import Simulator
from comfybridge.web import application
from comfybridge.web.dialects.native.dialect import NATIVE
from tests import graphs
from tests.waiting import until_true
from tests.web import shapes
from tests.web.answers import image, success
from tests.web.policies import KEYS

DRAW, HOW_FAR, END = "/shapes/v1/draw", "/shapes/v1/how-far", "/shapes/v1/end"

Make = Callable[..., FlaskClient]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask]) -> Make:
    """Makes bridges that know both dialects; those with the same settings are like processes of one bridge."""
    monkeypatch.setattr(application, "SPOKEN", (NATIVE, shapes.SHAPES))
    return lambda **settings: make_app(**settings).test_client()


@pytest.fixture
def api(make: Make) -> FlaskClient:
    return make()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket, of which systems allow some 100 characters."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


class Drawing:
    """A caller who waits for drawings in another thread."""

    def __init__(self, api: FlaskClient, **fields: Any) -> None:
        caller = {name: fields.pop(name) for name in ("headers", "environ_base") if name in fields}
        body = {"text": "a ring", "seed": 5, **fields}
        self._answers: list[TestResponse] = []
        app = api.application

        def draw() -> None:
            self._answers.append(app.test_client().post(DRAW, json=body, **caller))

        self._thread = threading.Thread(target=draw)
        self._thread.start()

    @property
    def answer(self) -> TestResponse:
        self._thread.join(20)
        return self._answers[0]


def how_far(api: FlaskClient, **caller: Any) -> dict[str, Any] | None:
    told: dict[str, Any] | None = api.get(HOW_FAR, **caller).get_json()["progress"]
    return told


def ended(api: FlaskClient, **caller: Any) -> int:
    count: int = api.post(END, **caller).get_json()["ended"]
    return count


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"}


def until_at_step(api: FlaskClient, step: int, **caller: Any) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        told = how_far(api, **caller)
        if told is not None and told["step"] == step:
            found.append(told)
        return bool(found)

    until_true(is_there)
    return found[0]


def preview_methods(sim: Simulator) -> list[str]:
    """What each prompt asked ComfyUI for."""
    bodies = [each.body for each in sim.requests if (each.method, each.path) == ("POST", "/prompt")]
    return [body["extra_data"]["preview_method"] for body in bodies]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_caller_learns_how_far_it_is(make: Make, sim: Simulator, processes: int) -> None:
    apis = [make() for _ in range(processes)]
    asking = apis[-1]
    assert how_far(asking) is None
    sim.hold_steps(1)
    drawing = Drawing(apis[0], steps=20)
    told = until_at_step(asking, 1)
    assert 1 < told["percent"] < 30
    assert (told["steps"], told["job_no"], told["job_count"], told["is_queued"]) == (20, 0, 1, False)
    assert told["prompt_id"] in sim.running
    assert image(told["preview"]).size[0] > 0
    sim.release()
    assert drawing.answer.status_code == 200
    assert how_far(asking) is None


def test_a_prompt_that_waits_is_told_apart(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    drawings = [Drawing(api, seed=number) for number in range(2)]
    sim.wait_until_queued(2)
    until_true(lambda: (how_far(api) or {}).get("job_count") == 2)
    told = how_far(api)
    assert told is not None
    assert told["prompt_id"] == sim.running[0]
    sim.release()
    assert [each.answer.status_code for each in drawings] == [200, 200]


def test_nothing_has_begun_while_others_run(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    native = threading.Thread(target=lambda: api.post("/generate", json={"workflow": graphs.picture()}))
    native.start()
    sim.wait_until_running()
    drawing = Drawing(api)
    sim.wait_until_pending(1)
    until_true(lambda: (how_far(api) or {}).get("prompt_id") == sim.pending[0])
    told = how_far(api)
    assert told is not None
    assert (told["is_queued"], told["percent"], told["step"], told["preview"]) == (True, 0, None, None)
    sim.release()
    native.join()
    assert drawing.answer.status_code == 200


@pytest.mark.parametrize("processes", [1, 2])
def test_several_prompts_count_as_jobs(
    make: Make, sim: Simulator, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    apis = [make() for _ in range(processes)]
    remove = UnderWay.remove

    def remove_and_hold(self: UnderWay, submission: Submission) -> None:
        sim.hold_steps()
        remove(self, submission)

    monkeypatch.setattr(UnderWay, "remove", remove_and_hold)
    sim.step_seconds = 0.02
    drawing = Drawing(apis[0], steps=40, count=4)
    until_true(lambda: (how_far(apis[-1]) or {}).get("job_no"))
    told = how_far(apis[-1])
    assert told is not None
    number = told["job_no"]  # 1, if this machine is fast enough
    assert (number, told["job_count"]) == (min(number, 3), 4)
    assert 25 * number <= told["percent"] < 25 * (number + 1)
    assert ended(apis[-1]) == 4 - number
    assert drawing.answer.status_code == 409
    assert "Prompt " in drawing.answer.get_json()["wrong"]["what"]
    sim.wait_until_idle()
    assert how_far(apis[-1]) is None
    assert ended(apis[-1]) == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupt_ends_what_the_caller_waits_for(make: Make, sim: Simulator, processes: int) -> None:
    apis = [make() for _ in range(processes)]
    sim.hold_steps(1)
    drawings = [Drawing(apis[0], seed=number) for number in range(2)]
    sim.wait_until_queued(2)
    until_true(lambda: (how_far(apis[-1]) or {}).get("job_count") == 2)
    assert ended(apis[-1]) == 2
    assert [each.answer.status_code for each in drawings] == [409, 409]
    assert {each.answer.get_json()["wrong"]["code"] for each in drawings} == {"interrupted"}
    sim.wait_until_idle()


CALLERS = {
    "by key": ({"api_keys": KEYS}, {"headers": basic("shop-secret")}, {"headers": basic("press-secret")}),
    "by address": (
        {"allow_anonymous": True},
        {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}},
        {"environ_base": {"REMOTE_ADDR": "192.0.2.2"}},
    ),
    "by address behind a proxy": (
        {},
        {"headers": {"X-Forwarded-For": "192.0.2.1, 10.0.0.1"}},
        {"headers": {"X-Forwarded-For": "192.0.2.2, 10.0.0.1"}},
    ),
}


def test_an_interrupt_reaches_a_request_that_is_being_queued(
    make: Make, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make()
    queue_prompt, reached, go_on = ComfyUIClient.queue_prompt, threading.Event(), threading.Event()

    def wait_and_queue(self: ComfyUIClient, *args: Any) -> Any:
        reached.set()
        go_on.wait(20)
        return queue_prompt(self, *args)

    monkeypatch.setattr(ComfyUIClient, "queue_prompt", wait_and_queue)
    sim.hold_steps()
    drawing = Drawing(api)
    reached.wait(20)
    assert ended(api) == 1
    go_on.set()
    assert drawing.answer.get_json()["wrong"]["code"] == "interrupted"
    sim.wait_until_idle()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("how", CALLERS)
def test_callers_are_told_apart(make: Make, sim: Simulator, how: str, processes: int) -> None:
    settings, one, other = CALLERS[how]
    apis = [make(**settings) for _ in range(processes)]
    sim.hold_steps(1)
    drawing = Drawing(apis[0], **one)
    until_at_step(apis[-1], 1, **one)
    for api in apis:
        assert how_far(api, **other) is None
        assert ended(api, **other) == 0
    assert len(sim.running) == 1
    sim.release()
    assert drawing.answer.status_code == 200


def test_another_bridge_of_this_machine_knows_nothing_of_it(make: Make, sim: Simulator) -> None:
    sim.hold_steps(1)
    drawing = Drawing(make())
    other = make(timeout=200)
    sim.wait_until_running()
    assert how_far(other) is None
    assert ended(other) == 0
    sim.release()
    assert drawing.answer.status_code == 200


def test_requests_of_a_dialect_with_ids_are_neither_shown_nor_ended(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    answers: list[TestResponse] = []
    asked = {"workflow": graphs.picture()}
    native = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked)))
    native.start()
    sim.wait_until_running()
    assert how_far(api) is None
    assert ended(api) == 0
    sim.release()
    native.join()
    success(answers[0])
    assert preview_methods(sim) == ["none"]


def test_a_stream_is_shown_until_it_ends(api: FlaskClient, sim: Simulator) -> None:
    sim.hold_steps(1)
    answer = api.post(DRAW, json={"text": "a ring", "stream": True}, buffered=False)
    until_at_step(api, 1)
    sim.release()
    list(answer.iter_encoded())
    answer.close()
    assert how_far(api) is None


def test_a_failed_request_leaves_nothing_behind(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("KSampler", "out of memory")
    assert Drawing(api).answer.status_code == 500
    assert how_far(api) is None


def test_a_caller_who_does_not_look_gets_no_previews_the_next_time(api: FlaskClient, sim: Simulator) -> None:
    for seed in range(2):
        assert Drawing(api, seed=seed).answer.status_code == 200
    how_far(api)
    Drawing(api, seed=2).answer  # noqa: B018  # waits for it
    assert preview_methods(sim) == ["auto", "none", "auto"]


def test_a_percentage_never_falls_as_often_as_one_asks(api: FlaskClient, sim: Simulator) -> None:
    sim.step_seconds = 0.01
    percents: list[float] = []
    for seed in range(2):  # the second time, it is known how long each node takes
        drawing = Drawing(api, steps=30, seed=seed, count=2)
        until_true(lambda: how_far(api) is not None)
        last = 0.0
        while (told := how_far(api)) is not None:
            assert told["percent"] >= last
            last = told["percent"]
            percents.append(last)
        assert drawing.answer.status_code == 200
    assert len(set(percents)) > 5


def test_what_a_killed_process_left_is_removed(
    make: Make, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    first, other = make(), make()
    assert Drawing(first).answer.status_code == 200
    (alive,) = Machine().folder().glob("*.sock")
    left = alive.with_name(f"{alive.name.partition('-')[0]}-0.sock")
    with socket.socket(socket.AF_UNIX) as its_socket:
        its_socket.bind(str(left))
    assert how_far(other) is None
    assert alive.exists()
    assert not left.exists()


def test_without_a_folder_a_process_knows_of_its_own_requests(
    make: Make, sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    monkeypatch.setattr(tempfile, "tempdir", str(nowhere))
    api, other = make(), make()
    sim.hold_steps(1)
    drawing = Drawing(api)
    until_at_step(api, 1)
    assert how_far(other) is None
    assert ended(api) == 1
    assert drawing.answer.status_code == 409
