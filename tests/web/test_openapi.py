"""`GET /openapi.json` and `GET /docs`: what they say, held against the application itself."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import TypeAdapter

from comfybridge import errors
from comfybridge.errors import BridgeError
from comfybridge.simulator import Simulator
from comfybridge.web import answers
from comfybridge.web.schemas import GenerateBody, OutputBody
from tests.web.answers import failure, success

# Flask's own answer to an address or a method that it does not have, on no operation in particular.
OF_NO_OPERATION = {"not_found", "method_not_allowed"}


@pytest.fixture
def document(api: FlaskClient) -> dict[str, Any]:
    response = api.get("/openapi.json")
    assert response.status_code == 200
    body: dict[str, Any] = response.get_json()
    return body


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_every_route_is_in_the_document(make_app: Callable[..., Flask], document: dict[str, Any]) -> None:
    routes = {
        f"{method} {re.sub('<(?:path:)?([a-z_]+)>', lambda match: '{' + match[1] + '}', rule.rule)}"
        for rule in make_app().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes - operations(document).keys() == {"GET /openapi.json", "GET /docs", "GET /docs/{name}"}
    assert operations(document).keys() <= routes


def test_operations_have_names_of_their_own_and_say_what_they_do(document: dict[str, Any]) -> None:
    found = operations(document).values()
    assert len({each["operationId"] for each in found}) == len(found)
    assert all(each["summary"] for each in found)
    assert all("500" in each["responses"] for each in found)


def test_every_type_of_error_stands_under_its_status(document: dict[str, Any]) -> None:
    said: dict[str, set[str]] = {}
    for operation in operations(document).values():
        for status, response in operation["responses"].items():
            for type in re.findall(r"^- `(\w+)`", response["description"], re.MULTILINE):
                said.setdefault(status, set()).add(type)
    classes = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, BridgeError)]
    there_are = {each.type: str(each.status) for each in classes if each.type not in OF_NO_OPERATION}
    assert there_are.items() <= {type: status for status, types in said.items() for type in types}.items()


def test_the_fields_of_a_request_are_those_that_are_validated(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["GenerateBody"]["properties"].keys() == GenerateBody.model_fields.keys()
    assert schemas["OutputBody"]["properties"].keys() == OutputBody.model_fields.keys()
    assert schemas["GenerateBody"]["additionalProperties"] is False
    quality = schemas["OutputBody"]["properties"]["quality"]
    assert (quality["minimum"], quality["maximum"], quality["default"]) == (1, 100, 90)
    retries = schemas["GenerateBody"]["properties"]["retries"]["anyOf"][0]
    assert retries == {"type": "integer", "minimum": 0, "maximum": 10}


def test_a_form_takes_files_beside_the_fields(document: dict[str, Any]) -> None:
    content = document["paths"]["/generate"]["post"]["requestBody"]["content"]
    assert content.keys() == {"application/json", "multipart/form-data"}
    form = document["components"]["schemas"]["GenerateForm"]
    assert form["additionalProperties"] == {"type": "string", "format": "binary"}
    assert form["properties"].keys() == GenerateBody.model_fields.keys() | {"request"}


def test_all_references_lead_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/([^"]*)"', json.dumps(document)))
    assert {f"components/schemas/{each}" for each in document["components"]["schemas"]} >= names
    assert names


def check(body: Any, type: Any) -> None:
    """A body must be of its type, and have nothing else: what a type does not have would be left out."""
    assert TypeAdapter(type).validate_python(body, strict=True) == body


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("/queue", answers.QueueAnswer),
        ("/stats", answers.StatsAnswer),
        ("/workflows", answers.WorkflowsAnswer),
        ("/workflows/txt2img", answers.WorkflowAnswer),
        ("/health", answers.HealthAnswer),
        ("/ready", answers.ReadyAnswer),
        ("/nowhere", answers.ErrorAnswer),
    ],
)
def test_answers_are_of_the_types_that_the_document_is_made_of(api: FlaskClient, path: str, type: Any) -> None:
    check(api.get(path).get_json(), type)


def test_a_generation_is_of_its_type(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"prompt": "a cat", "steps": 2}))
    check(body, answers.GenerationAnswer)


def test_the_docs_page_loads_nothing_from_elsewhere(api: FlaskClient) -> None:
    page = api.get("/docs")
    assert page.status_code == 200
    assert page.content_type.startswith("text/html")
    assert "//" not in page.text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 3
    for address in addresses:
        if not address.startswith("data:"):
            file = api.get(f"/{address}")
            assert file.status_code == 200
            assert len(file.data) > 10_000
            assert file.content_type.split(";")[0] in ("text/css", "text/javascript")
    assert 'url: "openapi.json"' in page.text


@pytest.mark.parametrize("name", ["scalar.js", "swagger_bundle.js", "..%2Furl.json", "url.json"])
def test_the_docs_page_has_its_own_files_only(api: FlaskClient, name: str) -> None:
    failure(api.get(f"/docs/{name}"), 404, "not_found")


def test_what_is_served_is_told_to_who_asks_for_something_else(api: FlaskClient) -> None:
    said = failure(api.get("/nowhere"), 404, "not_found")["error"]
    assert "POST /generate, GET /results/ID, POST /cancel/ID, GET /queue" in said
    assert "GET /openapi.json" in said
