"""API keys: which calls need one, and which keys are accepted."""

from __future__ import annotations

import hashlib
import logging

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.web.answers import failure, success
from tests.web.keys import DOCUMENTS, EVERY_CALL, PICTURE, PRESS, PROBES, SHOP


@pytest.mark.parametrize(("method", "path"), EVERY_CALL)
def test_without_a_key_nothing_is_answered(locked: FlaskClient, method: str, path: str) -> None:
    response = locked.open(path, method=method)
    said = failure(response, 401, "unauthorized")["error"]
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer KEY" in said
    assert "X-API-Key: KEY" in said


def test_which_methods_an_address_takes_is_told_without_a_key(locked: FlaskClient) -> None:
    response = locked.options("/generate")
    assert (response.status_code, response.data) == (200, b"")
    failure(locked.options("/nothing"), 401, "unauthorized")


@pytest.mark.parametrize("path", [*PROBES, *DOCUMENTS])
def test_probes_and_documents_need_no_key(locked: FlaskClient, path: str) -> None:
    assert locked.get(path).status_code in (200, 302)


@pytest.mark.parametrize(
    "headers",
    [
        SHOP,
        PRESS,
        {"Authorization": "bearer  press-secret "},
        {"X-API-Key": "plain-secret"},
        {"Authorization": "Basic cHJveHk6cHJveHk=", "X-API-Key": "shop-secret"},  # a scheme for a proxy
        {"Authorization": "Bearer nonsense", "X-API-Key": "shop-secret"},
    ],
)
def test_a_key_opens_the_door(locked: FlaskClient, headers: dict[str, str]) -> None:
    success(locked.post("/generate", json=PICTURE, headers=headers))
    assert locked.get("/queue", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "shop-secret"},
        {"Authorization": "Basic shop-secret"},
        {"X-API-Key": ""},
        {"X-API-Key": "shop-secre"},
        {"X-API-Key": "shop-secret2"},
        {"X-API-Key": "shop"},
        {"X-API-Key": hashlib.sha256(b"shop-secret").hexdigest()},
        {"X-API-Key": "sha256:" + hashlib.sha256(b"press-secret").hexdigest()},
        {"X-API-Key": "s\xe9cret"},
        {"Cookie": "X-API-Key=shop-secret"},
    ],
)
def test_what_is_no_key_does_not(locked: FlaskClient, sim: Simulator, headers: dict[str, str]) -> None:
    response = locked.post("/generate?api_key=shop-secret", json=PICTURE, headers=headers)
    said = failure(response, 401, "unauthorized")["error"]
    assert "secre" not in said
    assert sim.history == {}


def test_keys_are_never_logged(locked: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        success(locked.post("/generate", json=PICTURE, headers=SHOP))
        locked.get("/queue", headers={"X-API-Key": "wrong-secret"})
    assert caplog.records
    assert "secret" not in caplog.text


def test_the_document_asks_for_a_key_where_one_is_needed(locked: FlaskClient, api: FlaskClient) -> None:
    document = locked.get("/openapi.json").get_json()
    schemes = document["components"]["securitySchemes"]
    assert {"type": "http", "scheme": "bearer"}.items() <= schemes["bearer"].items()
    assert {"type": "apiKey", "in": "header", "name": "X-API-Key"}.items() <= schemes["header"].items()
    assert document["security"] == [{"bearer": []}, {"header": []}]
    assert document["paths"]["/health"]["get"]["security"] == []
    assert "security" not in document["paths"]["/generate"]["post"]
    answers = document["paths"]["/generate"]["post"]["responses"]
    assert "WWW-Authenticate" in answers["401"]["headers"]
    assert "Retry-After" in answers["429"]["headers"]
    assert "401" not in document["paths"]["/health"]["get"]["responses"]
    open_document = api.get("/openapi.json").get_json()
    assert "securitySchemes" not in open_document["components"]
    assert "security" not in open_document
