"""Calls of the Comfy API v2 by hand."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.graphs import picture
from tests.web.jobs import SECONDS, jobs_of


def post(api: FlaskClient, graph: dict[str, Any] | None = None, key: str | None = None, **sent: Any) -> TestResponse:
    """Ask for a job."""
    headers = {**sent.pop("headers", {}), **({} if key is None else {"Idempotency-Key": key})}
    return api.post("/api/v2/jobs", json={"workflow": graph or picture(), **sent}, headers=headers)


def queue(api: FlaskClient, graph: dict[str, Any] | None = None, **sent: Any) -> str:
    """Queue a job; returns its id."""
    response = post(api, graph, **sent)
    assert response.status_code == 201, response.text
    job: dict[str, Any] = response.get_json()
    assert job["status"] == "queued"
    assert response.headers["Location"] == job["urls"]["self"]
    job_id: str = job["id"]
    return job_id


def job(api: FlaskClient, job_id: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """A job as it is now."""
    response = api.get(f"/api/v2/jobs/{job_id}", headers=headers or {})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    return body


def ended(app: Flask, job_id: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """A job, once it has ended."""
    assert jobs_of(app).wait(job_id, SECONDS).has_ended
    return job(app.test_client(), job_id, headers)


def refused(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The error in a refusal."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = json.loads(response.text)["error"]
    assert error["code"] == code, error
    assert error["message"].endswith(".")
    return error
