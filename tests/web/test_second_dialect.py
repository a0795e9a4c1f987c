"""A dialect beside the bridge's own (`shapes.py`): what it gets without asking, and what is its own."""

from __future__ import annotations

import ast
import base64
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from comfybridge.web import application
from comfybridge.web.dialects.native.dialect import NATIVE
from tests.web import shapes
from tests.web.answers import LEAKS, failure, image
from tests.web.policies import KEYS, SHOP, SMALL

DRAW = "/shapes/v1/draw"


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"}


@pytest.fixture
def make_both(monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask]) -> Callable[..., FlaskClient]:
    monkeypatch.setattr(application, "SPOKEN", (NATIVE, shapes.SHAPES))
    return lambda **settings: make_app(**settings).test_client()


@pytest.fixture
def both(make_both: Callable[..., FlaskClient]) -> FlaskClient:
    return make_both()


@pytest.fixture
def policed(make_both: Callable[..., FlaskClient], policy_file: Callable[..., str]) -> FlaskClient:
    policies = policy_file(shop={"max_width": 64}, press={"rate": "1/day"})
    return make_both(api_keys=KEYS, policy_file=policies)


def wrong(response: Any, status: int, code: str) -> str:
    """The sentence of an error in the dialect's shape."""
    assert response.status_code == status, response.text
    said: dict[str, str] = response.get_json()["wrong"]
    assert (said["code"], said["request"]) == (code, response.headers["X-Request-Id"])
    assert not LEAKS.search(response.text)
    return said["what"]


def test_it_imports_nothing_of_the_bridges_own() -> None:
    tree = ast.parse(Path(shapes.__file__).read_text())
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [each for each in imported if "native" in each]


def test_it_answers_in_its_own_words(both: FlaskClient) -> None:
    response = both.post(DRAW, json={"text": "a ring", "side": 80}, headers={"Accept": "image/png"})
    assert response.status_code == 200
    [made] = response.get_json()["made"]
    assert image(made).size == (80, 80)
    assert response.headers["X-Prompt-Id"]
    assert "Accept" not in response.headers.get("Vary", "")


def test_its_errors_have_its_shape_and_the_others_keep_theirs(both: FlaskClient) -> None:
    assert wrong(both.post(DRAW, json={"text": "x", "sied": 80}), 400, "invalid_request") == (
        "Unknown field 'sied' (did you mean 'side'?)."
    )
    assert wrong(both.post(DRAW, json={"text": "x", "side": 8}), 400, "invalid_request").startswith("side must be ")
    assert wrong(both.post(DRAW, data=b"no"), 400, "invalid_request").startswith("The body is not JSON")
    assert "secret" not in wrong(both.post("/shapes/v1/break"), 500, "internal_error")
    failure(both.post("/generate", json={"stepz": 1}), 400, "invalid_request")
    failure(both.get("/shapes/v1/nothing"), 404, "not_found")


def test_an_error_of_comfyui_has_its_shape_too(both: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("KSampler", "out of paint")
    assert "out of paint" in wrong(both.post(DRAW, json={"text": "x"}), 500, "execution_failed")


def test_its_events_are_its_own(both: FlaskClient, sim: Simulator) -> None:
    told = both.post(DRAW, json={"text": "x", "stream": True})
    assert told.mimetype == "text/event-stream"
    names = [line.removeprefix("event: ") for line in told.text.splitlines() if line.startswith("event: ")]
    assert set(names) == {"shapes.step", "shapes.done"}
    assert names[-1] == "shapes.done"
    sim.fail_node("KSampler", "out of paint")
    told = both.post(DRAW, json={"text": "y", "stream": True})
    assert 'event: shapes.failed\ndata: {"wrong": ' in told.text


def test_its_keys_stand_where_it_says(policed: FlaskClient) -> None:
    body = {"text": "x", "side": 64}
    refused = policed.post(DRAW, json=body, headers=SHOP)  # X-API-Key is the other dialect's
    assert "send it as the password of Authorization: Basic." in wrong(refused, 401, "unauthorized")
    assert refused.headers["WWW-Authenticate"] == "Basic"
    wrong(policed.post(DRAW, json=body, headers=basic("nonsense")), 401, "unauthorized")
    assert policed.post(DRAW, json=body, headers=basic("shop-secret")).status_code == 200
    refused = policed.post("/generate", json=SMALL, headers=basic("shop-secret"))
    failure(refused, 401, "unauthorized")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert policed.post("/generate", json=SMALL, headers=SHOP).status_code == 200


def test_its_callers_have_the_rights_of_their_keys_though_it_knows_of_none(
    policed: FlaskClient, sim: Simulator
) -> None:
    large = {"text": "x", "side": 128}
    said = wrong(policed.post(DRAW, json=large, headers=basic("shop-secret")), 403, "forbidden")
    assert said.startswith("The API key shop may have at most 64 ")
    assert not sim.history
    assert policed.post(DRAW, json=large, headers=basic("press-secret")).status_code == 200
    wrong(policed.post(DRAW, json=large, headers=basic("press-secret")), 429, "rate_limited")
    [prompt_id] = sim.history
    mine = policed.get(f"/results/{prompt_id}", headers={"X-API-Key": "press-secret"})
    assert mine.status_code == 200
    failure(policed.get(f"/results/{prompt_id}", headers=SHOP), 404, "unknown_prompt")


def test_its_requests_may_be_asked_again_by_a_key(both: FlaskClient, sim: Simulator) -> None:
    twice = {"json": {"text": "x"}, "headers": {"Idempotency-Key": "one"}}
    ids = {both.post(DRAW, **twice).headers["X-Prompt-Id"] for _ in range(2)}  # type: ignore[arg-type]
    assert len(ids) == len(sim.history) == 1


def test_the_log_tells_its_views_from_others(both: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "comfybridge.requests")
    both.post(DRAW, json={"text": "x"}).close()
    both.post("/generate", json=SMALL).close()
    text = both.get("/metrics").text
    for operation in ("shapes.draw", "native.generate"):
        assert f'comfybridge_requests_total{{operation="{operation}",' in text
    assert len(caplog.records) == 2


def test_the_document_has_it(make_both: Callable[..., FlaskClient]) -> None:
    document = make_both(api_keys=KEYS).get("/openapi.json").get_json()
    draw = document["paths"][DRAW]["post"]
    [error] = draw["responses"]["400"]["content"].values()
    assert error["schema"]["$ref"].endswith("/ShapeError")
    assert draw["security"] == [{"basic": []}]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header", "basic"}
    own = document["paths"]["/generate"]["post"]
    assert own["responses"]["400"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorAnswer")
    assert "security" not in own
