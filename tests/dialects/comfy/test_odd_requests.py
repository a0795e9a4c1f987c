"""Requests that the vendor's own clients would not send."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.graphs import picture
from tests.web.jobs import queued_at

JSON = {"Content-Type": "application/json"}


def refused(answer: Any, status: int, code: str) -> str:
    """The sentence of a refusal."""
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code), answer.text
    message: str = answer.get_json()["error"]["message"]
    return message


@pytest.mark.parametrize("body", ["", "null", "[1]", '"x"', "{", "\0", "[" * 100_000, '{"workflow": NaN}'])
@pytest.mark.parametrize("path", ["jobs", "assets/from-hash"])
def test_no_json_object(api: FlaskClient, path: str, body: str) -> None:
    said = refused(api.post(f"/api/v2/{path}", data=body, headers=JSON), 400, "invalid_request")
    assert '"prompt"' not in said  # which is a field of the bridge's own API


@pytest.mark.parametrize(("path", "field"), [("jobs", "workflow"), ("assets/from-hash", "hash")])
def test_what_a_body_should_be(api: FlaskClient, path: str, field: str) -> None:
    said = refused(api.post(f"/api/v2/{path}", data="[]", headers=JSON), 400, "invalid_request")
    assert f'it must be a JSON object, such as {{"{field}": ' in said


@pytest.mark.parametrize(
    "more",
    [
        {"webhook_url": "https://shop.example"},
        {"inputs": {}},
        {"extra_data": {"x": 1}},
        {"extra_data": {"api_key_comfy_org": 7}},
        {"extra_data": []},
        {"metadata": "one"},
        {"workflow": []},
    ],
)
def test_fields_that_are_not_accepted(api: FlaskClient, sim: Simulator, more: dict[str, Any]) -> None:
    answer = api.post("/api/v2/jobs", json={"workflow": picture(), **more})
    assert next(iter(more)) in refused(answer, 422, "invalid_request")
    assert not queued_at(sim)


@pytest.mark.parametrize("key", ["", "x" * 256, "a b\t"])
def test_idempotency_keys_that_are_not_accepted(api: FlaskClient, key: str) -> None:
    answer = api.post("/api/v2/jobs", json={"workflow": picture()}, headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in refused(answer, 422, "invalid_request")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"content_type": "image/png\r\nX-A: b"}, "content_type must be a media type, such as image/png"),
        ({"content_type": ""}, "content_type must be a media type, such as image/png"),
        ({"file_path": "models/checkpoints/x.safetensors"}, "models"),
        ({"file_path": "/etc/passwd"}, "file_path"),
        ({"expires_in": "59"}, "expires_in"),
        ({"expires_in": "soon"}, "expires_in"),
        ({"expected_hash": "sha256:1"}, "expected_hash"),
    ],
)
def test_uploads_that_are_not_accepted(api: FlaskClient, fields: dict[str, str], said: str) -> None:
    form = {"content_type": "image/png", "file_path": "a.png", **fields, "file": (io.BytesIO(b"bytes"), "a.png")}
    assert said in refused(api.post("/api/v2/assets", data=form), 422, "invalid_request")


def test_files_of_the_bridge_itself(api: FlaskClient) -> None:
    answer = api.post("/api/v2/assets/from-path", json={"path": "/etc/passwd"})
    assert "POST /api/v2/assets" in refused(answer, 422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v2/jobs", "GET, POST"),
        ("GET", "/api/v2/jobs/x/cancel", "POST"),
        ("GET", "/api/v2/assets/by-hash/x", "HEAD"),
    ],
)
def test_methods_that_are_not_there(api: FlaskClient, method: str, path: str, allowed: str) -> None:
    said = refused(api.open(path, method=method), 405, "method_not_allowed")
    assert said.endswith(f"it takes {allowed}.")


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/jobs/", "/jobs/%00", "/assets/..%2f..%2fx", "/assets/x/content"]
)
def test_addresses_that_are_not_there(api: FlaskClient, path: str) -> None:
    refused(api.get(f"/api/v2{path}"), 404, "not_found")


def test_a_cursor_that_is_none_is_refused_although_there_are_no_jobs(api: FlaskClient) -> None:
    refused(api.get("/api/v2/jobs?cursor=x"), 400, "invalid_cursor")
