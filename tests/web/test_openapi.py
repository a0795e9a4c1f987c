"""`GET /openapi.json` and `GET /docs`: what they say, held against the application itself."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import TypeAdapter

from comfybridge import errors
from comfybridge.errors import BridgeError
from comfybridge.simulator import Simulator
from comfybridge.web.dialects.native import bodies as answers
from comfybridge.web.dialects.native.schemas import GenerateBody, OutputBody
from comfybridge.web.monitoring import probes
from tests.web.answers import failure, success

# Flask's own answers to unknown addresses and methods, which belong to no operation.
OF_NO_OPERATION = {"not_found", "method_not_allowed", "bridge_unreachable"}


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
        f"{method} {re.sub('<(?:[^:<>]+:)?([a-z_]+)>', lambda match: '{' + match[1] + '}', rule.rule)}"
        for rule in make_app().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes - operations(document).keys() == {
        *("GET /", "GET /page/{hash_of_all}/{path}", "GET /openapi.json"),
        *("GET /docs", "GET /docs/", "GET /docs/{name}"),
    }
    assert operations(document).keys() <= routes


def test_operations_have_names_of_their_own_and_say_what_they_do(document: dict[str, Any]) -> None:
    found = operations(document).values()
    assert len({each["operationId"] for each in found}) == len(found)
    assert all(each["summary"] for each in found)
    assert not any("`" in each["summary"] for each in found)  # the page shows them as they are
    assert all("500" in each["responses"] for each in found)


def test_every_type_of_error_stands_under_its_status(document: dict[str, Any]) -> None:
    said: dict[str, set[str]] = {}
    for operation in operations(document).values():
        for status, response in operation["responses"].items():
            for type in re.findall(r"^- `(\w+)`", response["description"], re.MULTILINE):
                said.setdefault(status, set()).add(type)
    classes = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, BridgeError)]
    there_are = {each.type: str(each.status) for each in classes if each.type not in OF_NO_OPERATION}
    assert there_are.items() <= {(type, status) for status, types in said.items() for type in types}


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
    assert content.keys() == {"application/json", "multipart/form-data", "application/x-www-form-urlencoded"}
    form = document["components"]["schemas"]["GenerateForm"]
    added = form["additionalProperties"]
    assert (added["type"], added["format"]) == ("string", "binary")
    assert form["properties"].keys() == GenerateBody.model_fields.keys() | {"request", "image"}
    assert "binary" not in json.dumps(document["components"]["schemas"]["GenerateFields"])


def test_a_form_is_shown_as_boxes_that_are_empty_and_a_picker_of_files(document: dict[str, Any]) -> None:
    """Swagger UI sends what it shows in a box, and shows an example of the first type, or the default."""
    fields = document["components"]["schemas"]["GenerateForm"]["properties"]
    assert fields["image"]["format"] == "binary"
    assert "anyOf" not in json.dumps(fields)
    assert "contentMediaType" not in json.dumps(fields)  # the page shows file pickers for it too
    assert fields["output"]["description"].endswith(", as JSON")
    assert '"default":' not in json.dumps(fields)
    assert {each["type"] for each in fields.values()} == {"string", "integer", "number", "boolean"}
    assert fields["seed"]["type"] == "integer"
    assert fields["on_timeout"]["enum"] == ["cancel", "keep"]
    shown = {name: each["examples"][0] for name, each in fields.items() if name != "image"}
    assert {name: value for name, value in shown.items() if value != ""} == {
        "prompt": "a lighthouse at dusk",
        "steps": 12,
    }


def test_what_the_docs_page_sends_of_an_untouched_form_is_answered(
    api: FlaskClient, document: dict[str, Any]
) -> None:
    fields = document["components"]["schemas"]["GenerateForm"]["properties"]
    sent = {name: str(each["examples"][0]) for name, each in fields.items() if name != "image"}
    assert (
        success(api.post("/generate", data=sent, content_type="multipart/form-data"))["params"]["prompt"]
        == "a lighthouse at dusk"
    )


def test_no_field_is_null_by_default(document: dict[str, Any]) -> None:
    properties = document["components"]["schemas"]["GenerateBody"]["properties"].values()
    assert not [each for each in properties if "default" in each]


def test_descriptions_stand_alone(document: dict[str, Any]) -> None:
    for name in ("GenerateBody", "GenerateForm", "OutputBody"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            assert schema.get("description"), (name, field)
            assert not schema["description"].startswith("the same"), (name, field)


def test_the_examples_of_a_request_work(api: FlaskClient, document: dict[str, Any]) -> None:
    content = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]
    assert len(content["examples"]) == 3
    assert next(iter(content["examples"].values()))["value"] == {"prompt": "a lighthouse at dusk", "steps": 12}
    for example in content["examples"].values():
        assert success(api.post("/generate", json=example["value"]))["images"], example["summary"]


def test_the_headers_of_answers_are_documented(api: FlaskClient, document: dict[str, Any]) -> None:
    found = operations(document)
    for name, operation in found.items():
        for status, response in operation["responses"].items():
            assert "X-Request-Id" in response["headers"], (name, status)
    documented = found["POST /generate"]["responses"]["200"]["headers"].keys()
    response = api.post("/generate", json={"prompt": "x", "steps": 1}, headers={"Accept": "image/*"})
    assert documented - response.headers.keys() == set()
    assert {"Content-Disposition", "X-Seed", "X-Prompt-Id"} <= documented


def test_events_are_of_the_types_that_the_document_names(api: FlaskClient, document: dict[str, Any]) -> None:
    responses = document["paths"]["/generate"]["post"]["responses"]
    said = responses["200"]["content"]["text/event-stream"]["schema"]["description"]
    types = {
        "queued": answers.QueuedEvent,
        "progress": answers.ProgressEvent,
        "preview": answers.PreviewEvent,
        "result": answers.GenerationAnswer,
        "error": answers.ErrorAnswer,
    }
    for event, type in types.items():
        assert f"`{event}`: {type.__name__}" in said
        assert type.__name__ in document["components"]["schemas"]
    asked = {"prompt": "x", "steps": 2}
    heard = api.post("/generate", json=asked, headers={"Accept": "text/event-stream"}).text
    found = re.findall(r"^event: (\w+)\ndata: (.*)$", heard, re.MULTILINE)
    assert {name for name, _ in found} == {"queued", "progress", "preview", "result"}
    for name, data in found:
        check(json.loads(data), types[name])


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
        ("/health", probes.HealthAnswer),
        ("/ready", probes.ReadyAnswer),
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
    assert addresses == ["data:,", "docs/swagger.css", "docs/swagger.js", "docs/docs.js"]
    for address in addresses[1:]:
        file = api.get(f"/{address}")
        assert file.status_code == 200
        assert len(file.data) > 500
        assert file.content_type.split(";")[0] in ("text/css", "text/javascript")
    assert 'url: "openapi.json"' in api.get("/docs/docs.js").text


def test_the_docs_page_asks_for_pictures_by_what_its_scripts_know(api: FlaskClient) -> None:
    page, script = api.get("/docs/docs.js").text, api.get("/docs/swagger.js").text
    answers = api.get("/openapi.json").get_json()["paths"]["/generate"]["post"]["responses"]
    assert '"image/*"' in page
    assert "image/*" in answers["200"]["content"]
    for action in re.findall(r"oas3Actions\.(\w+)\(", page):
        assert f"{action}:" in script


@pytest.mark.parametrize("name", ["scalar.js", "swagger_bundle.js", "..%2Furl.json", "url.json"])
def test_the_docs_page_has_its_own_files_only(api: FlaskClient, name: str) -> None:
    failure(api.get(f"/docs/{name}"), 404, "not_found")


def test_the_docs_page_is_found_from_where_people_look(make_app: Callable[..., Flask]) -> None:
    """By addresses that hold behind a proxy that puts a path in front of the bridge."""
    for address, location in (("/", "docs"), ("/docs/", "../docs")):
        response = make_app(page=False).test_client().get(address)
        assert (response.status_code, response.headers["Location"]) == (302, location)
        assert urljoin(address, location) == "/docs"


def test_what_is_served_is_told_to_who_asks_for_something_else(api: FlaskClient) -> None:
    said = failure(api.get("/nowhere"), 404, "not_found")["error"]
    assert "POST /generate, GET /results/ID, POST /cancel/ID, GET /queue" in said
    assert "GET /openapi.json" in said
    assert "GET /," not in said


def test_what_a_webhook_sends_is_described(document: dict[str, Any]) -> None:
    hook = document["webhooks"]["jobEnded"]["post"]
    body = hook["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    data = document["components"]["schemas"][body]["properties"]["data"]["$ref"].rpartition("/")[2]
    assert {"id", "labels", "result", "error"} <= document["components"]["schemas"][data]["properties"].keys()
    assert [each["name"] for each in hook["parameters"] if each["required"]] == ["webhook-id", "webhook-timestamp"]


def test_a_bridge_without_jobs_describes_none(make_app: Callable[..., Flask]) -> None:
    document = make_app(jobs=False).test_client().get("/openapi.json").get_json()
    assert "webhooks" not in document
    generate = document["paths"]["/generate"]["post"]
    assert "202" not in generate["responses"]
    assert [each["name"] for each in generate["parameters"]] == ["index", "Idempotency-Key"]
    assert not [path for path in document["paths"] if "jobs" in path]
