"""What looks at all answers here does see faults."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

from tests.dialects.comfy.checked import Checked

LINKS = {"self": "/api/v2/jobs/1", "events": "/api/v2/jobs/1/events", "cancel": "/api/v2/jobs/1/cancel"}
TIMES = {"created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z"}
DONE = {"value": 1, "nodes_done": 1, "nodes_total": 1}
REST = ("started_at", "completed_at", "queue_position", "progress", "error")
JOB: dict[str, Any] = {"id": "1", "status": "queued", "outputs": [], "urls": LINKS, **TIMES, **dict.fromkeys(REST)}


def told(path: str, answer: Response, method: str = "GET") -> list[str]:
    """The faults of an answer."""
    faults: list[str] = []
    answers: list[str] = []
    answer.headers.setdefault("X-Comfy-Request-Id", "1")
    client = Client(Checked(answer, faults, answers, ["/home/secret"]))
    client.open(path, method=method).close()
    assert len(answers) == 1
    return faults


def as_json(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(body), status, headers, mimetype="application/json")


def as_events(*events: tuple[str, Any]) -> Response:
    text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return Response(": hello\n\n" + text, mimetype="text/event-stream")


def error(code: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "no", **more}}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/v2/jobs/1", as_json(JOB)),
        ("/api/v2/jobs/1", as_json({**JOB, "metadata": {"a": "b"}, "progress": DONE})),
        ("/api/v2/jobs/1", as_json(error("not_found"), 404)),
        ("/api/v2/jobs/1", as_json(error("invalid_request", details=None), 405)),
        ("/api/v2/jobs/1", as_json(error("rate_limited"), 429, **{"Retry-After": "3"})),
        ("/api/v2/jobs/1/events", as_events(("status", {"status": "queued"}), ("status", {"status": "failed"}))),
        ("/api/v2/assets/1/content", Response(b"Traceback (most recent call last)", mimetype="image/png")),
    ],
)
def test_answers_as_specified(path: str, answer: Response) -> None:
    assert told(path, answer) == []


@pytest.mark.parametrize(
    ("path", "answer", "fault"),
    [
        ("/api/v2/jobs/1", as_json({**JOB, "created_at": "2026-01-01T00:00:00"}), "date-time"),
        ("/api/v2/jobs/1", as_json({**JOB, "status": "done"}), "'done' is not one of"),
        ("/api/v2/jobs/1", as_json({name: JOB[name] for name in JOB if name != "error"}), "'error' is a required"),
        ("/api/v2/jobs/1", as_json({**JOB, "server": "x"}), "'server' was unexpected"),
        ("/api/v2/jobs/1", as_json({**JOB, "progress": {**DONE, "value": 2}}), "progress"),
        ("/api/v2/jobs/1", as_json({**JOB, "urls": {**LINKS, "self": "jobs/1"}}), "uri-reference"),
        ("/api/v2/jobs/1", as_json(JOB, 202), "status 202"),
        ("/api/v2/jobs/1", Response("no", 404, mimetype="text/plain"), "text/plain"),
        ("/api/v2/jobs/1", as_json({"error": "no"}, 404), "not of type 'object'"),
        ("/api/v2/jobs/1", as_json(error("rate_limited"), 429), "Retry-After"),
        ("/api/v2/jobs/1", as_json(error("x", details={"a": "/home/secret/y"}), 404), "of the inside"),
        ("/api/v2/jobs/1", as_json(JOB, **{"X-From": "/home/secret"}), "of the inside"),
        ("/api/v2/nothing", as_json({}), "status 200"),
        ("/api/v2/jobs/1/events", as_events(("progress", DONE)), "first"),
        ("/api/v2/jobs/1/events", as_events(("status", {"status": "gone"})), "event status"),
        ("/api/v2/jobs/1/events", as_events(("hello", {})), "no event 'hello'"),
        ("/api/v2/jobs/1/events", as_events(*[("status", {"status": "failed"})] * 2), "not the last"),
    ],
)
def test_faults(path: str, answer: Response, fault: str) -> None:
    assert fault in "\n".join(told(path, answer))


def test_an_answer_without_an_id() -> None:
    answer = as_json(JOB)
    answer.headers["X-Comfy-Request-Id"] = "1"
    assert told("/api/v2/jobs/1", answer) == []
    faults: list[str] = []
    Client(Checked(as_json(JOB), faults, [], [])).get("/api/v2/jobs/1").close()
    assert faults == ["GET /api/v2/jobs/1 200: no X-Comfy-Request-Id"]


def test_a_body_of_a_head() -> None:
    assert told("/api/v2/assets/by-hash/blake3:1", Response(status=404), method="HEAD") == []


def test_answers_that_are_read_and_not_closed_are_looked_at() -> None:
    """As Flask's test client does."""
    faults: list[str] = []
    client = Client(Checked(Response("no envelope", 404), faults, [], []))
    assert client.get("/api/v2/jobs").text == "no envelope"
    assert faults
