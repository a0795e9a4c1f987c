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
    failure(both.get("/nothing"), 404, "not_found")


@pytest.mark.parametrize("path", ["/shapes/v1/nothing", "/shapes/", "/shapes"])
def test_errors_below_its_paths_have_its_shape_too(both: FlaskClient, path: str) -> None:
    response = both.get(path)
    said = wrong(response, 404, "not_found")
    routes = f"POST {DRAW}, GET /shapes/v1/how-far, POST /shapes/v1/end, POST /shapes/v1/break"
    assert said == f"There is nothing at {path}; the addresses are {routes}."
    assert response.headers["X-Shapes-Advice"] == "draw something else"
    response = both.get(DRAW)
    assert "it takes POST" in wrong(response, 405, "method_not_allowed")
    assert response.headers["Allow"]
    assert DRAW not in failure(both.get("/shapesandmore"), 404, "not_found")["error"]


def test_a_large_body_is_refused_in_its_shape(make_both: Callable[..., FlaskClient]) -> None:
    wrong(make_both(max_json_bytes=100).post(DRAW, json={"text": "x" * 200}), 413, "too_large")


def test_keys_are_missed_in_its_shape_where_nothing_is(policed: FlaskClient) -> None:
    refused = policed.get("/shapes/v1/nothing")
    wrong(refused, 401, "unauthorized")
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="ComfyBridge"'


def test_which_methods_it_takes_is_told_without_a_key(policed: FlaskClient) -> None:
    response = policed.options(DRAW)
    assert response.status_code == 200
    assert "POST" in response.headers["Allow"]
    wrong(policed.options("/shapes/v1/nothing"), 401, "unauthorized")


@pytest.mark.parametrize("header", ["Basic ", "Basic", "Bearer ", "", "Bearer None", "Basic %%%", "nonsense"])
def test_without_keys_rubbish_in_authorization_does_not_matter(both: FlaskClient, header: str) -> None:
    assert both.post(DRAW, json={"text": "x"}, headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/octet-stream", "multipart/form-data"])
def test_json_is_read_whatever_its_content_type(both: FlaskClient, content_type: str | None) -> None:
    assert both.post(DRAW, data=b'{"text": "x"}', content_type=content_type).status_code == 200


@pytest.mark.parametrize("credentials", ["any name:shop-secret", ":shop-secret", "shop-secret:", "shop-secret"])
def test_a_basic_key_is_the_password_or_else_the_name(policed: FlaskClient, credentials: str) -> None:
    header = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
    assert policed.post(DRAW, json={"text": "x", "side": 64}, headers=header).status_code == 200


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
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="ComfyBridge"'
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
        dialect = operation.partition(".")[0]
        assert f'comfybridge_requests_total{{dialect="{dialect}",operation="{operation}",' in text
    assert len(caplog.records) == 2


def test_the_log_has_the_dialect_of_unknown_addresses(both: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "comfybridge.requests")
    for path in ("/shapes/nothing", "/nothing"):
        both.get(path).close()
    assert [each.getMessage().split("dialect ")[1].split(",")[0] for each in caplog.records] == ["shapes", "native"]


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
