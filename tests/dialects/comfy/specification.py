"""The vendor's own specification of the Comfy API v2, to hold answers against."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

DOCUMENT = Path(__file__).with_name("spec") / "openapi.yaml"
ENDED = ("succeeded", "canceled", "failed", "expired")
# What the SDKs read and the specification does not have yet.
MORE_FIELDS = {"Job": {"metadata": {"type": "object", "additionalProperties": {"type": "string"}}}}
TIME = {"type": "string", "format": "date-time"}
LISTED = {
    "type": "object",
    "required": ["jobs"],
    "additionalProperties": False,
    "properties": {
        "next_cursor": {"type": "string"},
        "jobs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "status", "create_time", "update_time", "created_at", "metadata"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"$ref": "#/components/schemas/JobStatus"},
                    "create_time": TIME,
                    "update_time": TIME,
                    "created_at": TIME,
                    "metadata": MORE_FIELDS["Job"]["metadata"],
                },
            },
        },
    },
}
# Routes and statuses that the SDKs use, or that HTTP brings, beside those of the specification.
MORE_ANSWERS: dict[tuple[str, str], dict[int, Any]] = {
    ("GET", "/api/v2/jobs"): {200: LISTED},
    ("GET", "/api/v2/health"): {200: {"type": "object", "properties": {"status": {"const": "healthy"}}}},
}
REFUSALS = (400, 401, 403, 404, 405, 408, 411, 413, 415, 416, 421, 422, 429, 431, 500, 503)


def faults_of(method: str, path: str, status: int, media_type: str, body: bytes) -> list[str]:
    """What is wrong with an answer; nothing if it is as specified. Files are not looked into."""
    if method == "OPTIONS":
        return []
    operation = _operation(method, path)
    if method == "HEAD" or status in (204, 304):
        return [f"a body of {len(body)} bytes"] if body else []
    specified = {} if operation is None else _answers(*operation)
    if status not in specified:
        if status not in REFUSALS:
            return [f"status {status} is not specified"]
        return _faults({"$ref": "#/components/schemas/ErrorEnvelope"}, media_type, body)
    if media_type == "text/event-stream" and status == 200:
        return _stream_faults(body)
    schema = specified[status]
    if schema is None:
        return []
    return _faults(schema, media_type, body)


def event_faults(name: str, data: str) -> list[str]:
    """What is wrong with an event of a job."""
    kinds = _document()["paths"]["/api/v2/jobs/{id}/events"]["get"]["x-sse-events"]
    if name not in kinds:
        return [f"no event {name!r} is specified"]
    found = _faults({"$ref": kinds[name]["schema"]}, "application/json", data.encode())
    return [f"event {name}: {each}" for each in found]


def _stream_faults(body: bytes) -> list[str]:
    """Also of the order: a status first, or the outputs of a job that has ended; a terminal status last."""
    found: list[str] = []
    seen: list[tuple[str, str]] = []
    for block in body.decode().split("\n\n")[:-1]:  # the last may be cut off, or is empty
        lines = [each for each in block.split("\n") if each and not each.startswith(":")]
        if not lines:
            continue
        fields = dict(each.split(": ", 1) for each in lines)
        if not {"event", "data"} <= set(fields) <= {"event", "data"}:
            found.append(f"an event of {sorted(fields)}")
            continue
        seen.append((fields["event"], fields["data"]))
        found += event_faults(*seen[-1])
    if seen and seen[0][0] not in ("status", "output"):
        found.append(f"the first event is {seen[0][0]}")
    ends = [at for at, (name, data) in enumerate(seen) if name == "status" and json.loads(data)["status"] in ENDED]
    if ends and ends != [len(seen) - 1]:
        found.append("a terminal status is not the last event: " + ", ".join(name for name, _ in seen))
    return found


def _faults(schema: dict[str, Any], media_type: str, body: bytes) -> list[str]:
    if media_type != "application/json":
        return [f"{media_type or 'no type'} instead of JSON"]
    try:
        value = json.loads(body)
    except ValueError:
        return ["not JSON"]
    whole = {**schema, "components": _components()}
    found = jsonschema.Draft202012Validator(whole, format_checker=_formats()).iter_errors(value)
    return [f"{each.json_path}: {each.message}"[:400] for each in found]


def _operation(method: str, path: str) -> tuple[str, str] | None:
    """The specified route of a path, and the method, as they stand in the specification or in MORE_ANSWERS."""
    routes = {*_document()["paths"], *(route for _, route in MORE_ANSWERS)}
    for route in sorted(routes, key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(route)), path):
            return method, route
    return None


@cache
def _answers(method: str, route: str) -> dict[int, Any]:
    """The schemas of a route's answers by status; none where there is no JSON."""
    operation = _document()["paths"].get(route, {}).get(method.lower(), {})
    found = {}
    for status, answer in operation.get("responses", {}).items():
        if "$ref" in answer:
            answer = _document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        found[int(status)] = answer.get("content", {}).get("application/json", {}).get("schema")
    return {**found, **MORE_ANSWERS.get((method, route), {})}


@cache
def _document() -> Any:
    return yaml.safe_load(DOCUMENT.read_text())


@cache
def _components() -> Any:
    schemas = {name: _json_schema(each) for name, each in _document()["components"]["schemas"].items()}
    for name, more in MORE_FIELDS.items():
        schemas[name]["properties"].update(more)
    return {"schemas": schemas}


def _json_schema(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` allows null. Fields that are not specified are refused."""
    if not isinstance(schema, dict):
        return schema
    converted = {name: _json_schema(each) for name, each in schema.items() if name not in ("nullable", "example")}
    for name in ("allOf", "anyOf", "oneOf"):
        if name in converted:
            converted[name] = [_json_schema(each) for each in schema[name]]
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        converted.setdefault("additionalProperties", False)
    if schema.get("nullable") is True:
        return {"anyOf": [converted, {"type": "null"}]}
    return converted


@cache
def _formats() -> Any:
    checker = jsonschema.FormatChecker(())
    checker.checks("date-time", raises=ValueError)(_is_time)
    checker.checks("uri")(_is_url)
    checker.checks("uri-reference")(_is_link)
    return checker


def _is_time(value: object) -> bool:
    """With a zone: the SDKs refuse others."""
    return not isinstance(value, str) or datetime.fromisoformat(value.replace("Z", "+00:00")).tzinfo is not None


def _is_url(value: object) -> bool:
    return not isinstance(value, str) or re.match(r"https?://[^/\s]+/\S*$", value) is not None


def _is_link(value: object) -> bool:
    """The SDKs join what begins with a slash to the server's origin."""
    return not isinstance(value, str) or re.match(r"/(?!/)\S*$|https?://[^/\s]+/\S*$", value) is not None
