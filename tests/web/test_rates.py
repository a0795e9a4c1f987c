"""How often a caller may ask, by the policy for its API key."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable

import pytest
from flask import Flask

from comfybridge.policy import rates
from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.policies import KEYS, PRESS, SHOP, SMALL, TWICE, MakeApi, png, refused


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Holds the clock that rates go by; lets so many seconds pass."""
    now = [1000.0]
    monkeypatch.setattr(rates, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_a_rate_is_kept_and_says_when_to_come_back(api_for: MakeApi, clock: Callable[[float], None]) -> None:
    api = api_for(rate="3/minute")
    for _ in range(3):
        success(api.post("/generate", json=SMALL, headers=SHOP))
    response = api.post("/generate", json=SMALL, headers=SHOP)
    said = failure(response, 429, "rate_limited")["error"]
    assert "3/minute" in said
    assert response.headers["Retry-After"] == "20"
    success(api.post("/generate", json=SMALL, headers=PRESS))  # this key has no rate
    assert api.get("/workflows", headers=SHOP).status_code == 200  # the rate counts only requests for pictures
    clock(19.5)
    response = api.post("/generate", json=SMALL, headers=SHOP)
    failure(response, 429, "rate_limited")
    assert response.headers["Retry-After"] == "1"
    clock(0.5)
    success(api.post("/generate", json=SMALL, headers=SHOP))
    failure(api.post("/generate", json=SMALL, headers=SHOP), 429, "rate_limited")
    clock(3600)  # no more than three accumulate
    for _ in range(3):
        success(api.post("/generate", json=SMALL, headers=SHOP))
    failure(api.post("/generate", json=SMALL, headers=SHOP), 429, "rate_limited")


def test_every_key_has_a_rate_of_its_own(
    make_app: Callable[..., Flask], policy_file: Callable[..., str], clock: Callable[[float], None]
) -> None:
    api = make_app(api_keys=KEYS, policy_file=policy_file(default={"rate": "1/day"})).test_client()
    for headers in (SHOP, PRESS):
        success(api.post("/generate", json=SMALL, headers=headers))
        response = api.post("/generate", json=SMALL, headers=headers)
        failure(response, 429, "rate_limited")
        assert response.headers["Retry-After"] == "86400"


def test_what_is_refused_and_what_is_asked_again_does_not_count(
    api_for: MakeApi, clock: Callable[[float], None], sim: Simulator
) -> None:
    api = api_for(rate="1/day", workflows=["txt2img"])
    refused(api, sim, {"workflow": graphs.picture()})
    key = {**SHOP, "Idempotency-Key": "one"}
    first, second = (success(api.post("/generate", json=SMALL, headers=key)) for _ in range(2))
    assert first["prompt_id"] == second["prompt_id"]
    failure(api.post("/generate", json=SMALL, headers=SHOP), 429, "rate_limited")


def test_what_is_wrong_does_not_count(
    make_app: Callable[..., Flask], policy_file: Callable[..., str], clock: Callable[[float], None], sim: Simulator
) -> None:
    policies = policy_file(shop={"rate": "1/day", "max_width": 64})
    api = make_app(api_keys=KEYS, policy_file=policies).test_client()
    no_picture = base64.b64encode(b"no picture").decode()
    too_wide = base64.b64encode(png(65, 8)).decode()
    for status, asked in (
        (400, {**SMALL, "params": {"nope": 1}}),
        (400, {**SMALL, "params": {"4.ckpt_name": "none.safetensors"}}),  # ComfyUI itself refuses it
        (400, {**SMALL, "workflow": {"7": {"class_type": "Unheard", "inputs": {}}}}),
        (400, {"workflow": "img2img", "prompt": "x", "steps": 1, "images": {"image": no_picture}}),
        (403, {"workflow": "img2img", "prompt": "x", "steps": 1, "images": {"image": too_wide}}),
        (403, {**SMALL, "width": 72}),
        (404, {**SMALL, "workflow": "nowhere"}),
    ):
        for headers in (SHOP, {**SHOP, "Idempotency-Key": "one"}):
            assert api.post("/generate", json=asked, headers=headers).status_code == status
    assert sim.history == {}
    success(api.post("/generate", json=SMALL, headers=SHOP))
    failure(api.post("/generate", json=SMALL, headers=SHOP), 429, "rate_limited")


def test_what_finds_no_comfyui_does_not_count(api_for: MakeApi, sim: Simulator) -> None:
    api, asked = api_for(rate="1/day"), {"workflow": graphs.picture()}
    success(api.post("/generate", json=asked, headers=PRESS))  # so that the bridge knows ComfyUI's nodes
    sim.stop()
    for _ in range(2):
        failure(api.post("/generate", json=asked, headers=SHOP), 503, "comfyui_unreachable")


def test_of_two_that_come_at_once_under_one_key_one_counts(api_for: MakeApi, sim: Simulator) -> None:
    api = api_for(rate="2/day")
    sim.hold()
    both = [threading.Thread(target=api.post, args=("/generate",), kwargs=asked) for asked in [TWICE] * 2]
    for each in both:
        each.start()
    sim.wait_until_running()
    sim.release()
    for each in both:
        each.join()
    success(api.post("/generate", json=SMALL, headers=SHOP))
    failure(api.post("/generate", json=SMALL, headers=SHOP), 429, "rate_limited")


def test_callers_without_keys_share_what_is_default(
    make_app: Callable[..., Flask], policy_file: Callable[..., str], clock: Callable[[float], None], sim: Simulator
) -> None:
    policies = policy_file(default={"rate": "1/hour", "max_steps": 1})
    api = make_app(policy_file=policies).test_client()
    assert refused(api, sim, {**SMALL, "steps": 2}, {}).startswith("A caller without an API key may have at most 1 ")
    clock(3600)
    success(api.post("/generate", json=SMALL))
    failure(api.post("/generate", json=SMALL), 429, "rate_limited")
