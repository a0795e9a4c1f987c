"""Fixtures: an application with jobs, whose engine and agent are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.jobs.jobs import Jobs
from comfybridge.simulator import Simulator
from comfybridge.simulator.recorder import RecordedRequest
from comfybridge.web.current import JOBS

SECONDS = 20.0  # for what takes a few milliseconds on a quiet machine


@pytest.fixture
def make_jobs_app(make_app: Callable[..., Flask], tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Makes applications that keep their jobs in a folder of this test."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        made.append(make_app(**{"state_dir": tmp_path / "state", **settings}))
        return made[-1]

    yield make
    for app in made:
        jobs_of(app).close()


@pytest.fixture
def jobs_app(make_jobs_app: Callable[..., Flask]) -> Flask:
    return make_jobs_app()


@pytest.fixture
def jobs_api(jobs_app: Flask) -> FlaskClient:
    return jobs_app.test_client()


def jobs_of(app: Flask) -> Jobs:
    jobs = app.extensions[JOBS]
    assert isinstance(jobs, Jobs)
    return jobs


def accepted(response: TestResponse) -> str:
    """The id of a job from the answer that must accept it."""
    assert response.status_code == 202, response.text
    body = response.get_json()
    job_id: str = body["id"]
    assert body["urls"]["self"].endswith(f"/jobs/{job_id}")
    assert response.headers["Location"] == body["urls"]["self"]
    assert response.headers["X-Prompt-Id"] == job_id
    return job_id


def queue(api: FlaskClient, headers: dict[str, str] | None = None, **asked: Any) -> str:
    """Queue a job; returns its id."""
    return accepted(api.post("/jobs", json=asked, headers=headers or {}))


def ended(app: Flask, job_id: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """A job, once it has ended."""
    state = jobs_of(app).wait(job_id, SECONDS)
    assert state.has_ended, state
    body: dict[str, Any] = app.test_client().get(f"/jobs/{job_id}", headers=headers or {}).get_json()
    return body


def events_in(text: str) -> list[tuple[str, str]]:
    """The names and data of server-sent events, without comments."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            found.append((fields.get("event", "message"), fields["data"]))
    return found


def queued_at(sim: Simulator) -> list[RecordedRequest]:
    """The requests by which prompts were queued in ComfyUI."""
    return [each for each in sim.requests if each.method == "POST" and each.path.endswith("/prompt")]
