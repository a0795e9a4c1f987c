"""How far a caller's requests are, and stopping them, as AUTOMATIC1111's clients do."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.prompts.caller_progress import CallerProgress
from comfybridge.simulator import Simulator
from comfybridge.web.dialects.automatic1111.progress import Highest, share_of
from tests.waiting import until_true

ROOT = "/sdapi/v1"
SMALL = {"prompt": "a cat", "width": 64, "height": 64, "steps": 4, "seed": 7}
KEYS = "shop=shop-secret,press=press-secret"
SHOP, PRESS = {"X-API-Key": "shop-secret"}, {"X-API-Key": "press-secret"}


@pytest.fixture
def locked(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(api_keys=KEYS).test_client()


@pytest.fixture
def post(locked: FlaskClient, sim: Simulator) -> Iterator[Callable[..., Future[TestResponse]]]:
    """Sends a request in a thread."""
    with ThreadPoolExecutor() as threads:

        def send(name: str, fields: dict[str, Any], headers: dict[str, str]) -> Future[TestResponse]:
            client = locked.application.test_client()
            return threads.submit(client.post, f"{ROOT}/{name}", json=fields, headers=headers)

        try:
            yield send
        finally:
            sim.release()


def progress(client: FlaskClient, headers: dict[str, str], query: str = "") -> dict[str, Any]:
    said: dict[str, Any] = client.get(f"{ROOT}/progress{query}", headers=headers).get_json()
    return said


def test_only_the_caller_sees_its_progress(locked: FlaskClient, sim: Simulator, post: Any) -> None:
    sim.hold_steps(after=2)
    running = post("txt2img", {**SMALL, "n_iter": 2}, SHOP)
    until_true(lambda: progress(locked, SHOP)["state"]["sampling_step"] == 2)
    said = progress(locked, SHOP)
    assert said["progress"] == 0.25  # half of the steps of one of two prompts
    state = said["state"]
    assert (state["job_count"], state["job_no"], state["sampling_steps"]) == (2, 0, 4)
    assert state["job"]
    assert (progress(locked, PRESS)["progress"], progress(locked, PRESS)["state"]["job_count"]) == (0.0, 0)
    sim.release()
    assert running.result().status_code == 200
    until_true(lambda: progress(locked, SHOP)["state"]["job_count"] == 0)
    assert progress(locked, SHOP)["progress"] == 0.0


def test_the_share_never_falls() -> None:
    highest = Highest()
    steps = [(1, 4), (4, 4), (1, 4), (None, None)]
    told = [highest.of("me", 5.0, share_of(far(step, of))) for step, of in steps]
    assert told == [0.25, 1.0, 1.0, 1.0]
    assert highest.of("me", 6.0, share_of(far(1, 4))) == 0.25
    assert highest.of("other", 5.0, share_of(far(None, None))) == 0.9


def far(step: int | None, steps: int | None) -> CallerProgress:
    return CallerProgress(90, None, step, steps, "id", 5.0, 0, 1, None, is_queued=False)


def test_a_preview_is_shown_unless_it_is_skipped(locked: FlaskClient, sim: Simulator, post: Any) -> None:
    sim.hold_steps(after=2)
    running = post("txt2img", SMALL, SHOP)
    until_true(lambda: progress(locked, SHOP)["current_image"])
    assert base64.b64decode(progress(locked, SHOP)["current_image"])[:3] in (b"\xff\xd8\xff", b"\x89PN")
    assert progress(locked, SHOP, "?skip_current_image=true")["current_image"] is None
    sim.release()
    assert running.result().status_code == 200


@pytest.mark.parametrize(("name", "answer"), [("interrupt", {}), ("skip", None)])
def test_a_caller_stops_its_own_requests_only(
    locked: FlaskClient, sim: Simulator, post: Any, name: str, answer: Any
) -> None:
    sim.hold()
    one = post("txt2img", SMALL, SHOP)
    until_true(lambda: progress(locked, SHOP)["state"]["job"] not in ("", "starting"))
    other = post("txt2img", {**SMALL, "seed": 8}, PRESS)
    until_true(lambda: progress(locked, PRESS)["state"]["job"] not in ("", "starting"))
    assert locked.post(f"{ROOT}/{name}", headers=SHOP).get_json() == answer
    stopped = one.result()
    assert (stopped.status_code, stopped.get_json()["error"]) == (409, "interrupted")
    sim.release()
    assert other.result().status_code == 200
