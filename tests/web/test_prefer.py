"""`Prefer` (RFC 7240) chooses between an answer now and later."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.jobs import accepted, ended, jobs_api, jobs_app, make_jobs_app, queued_at

__all__ = ["jobs_api", "jobs_app", "make_jobs_app"]

PICTURE = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}


@pytest.mark.parametrize(
    ("header", "applied"),
    [
        ("respond-async", "respond-async"),
        ("Respond-Async", "respond-async"),
        ("handling=lenient, respond-async; foo=bar", "respond-async"),
        ('respond-async=""', "respond-async"),
        ("respond-async, wait=0", "respond-async, wait=0"),
        ('return=minimal;x="a, b", respond-async', "respond-async"),
        ("respond-async, wait=x", "respond-async"),
        (", ,respond-async", "respond-async"),
    ],
)
def test_generate_answers_later_if_its_caller_prefers(
    jobs_app: Flask, jobs_api: FlaskClient, header: str, applied: str
) -> None:
    response = jobs_api.post("/generate", json=PICTURE, headers={"Prefer": header})
    assert response.headers["Preference-Applied"] == applied
    assert ended(jobs_app, accepted(response))["status"] == "succeeded"


@pytest.mark.parametrize(
    "header", ["", "wait=10", "respond-sync", 'return="respond-async"', "respond-async oops", '=;,"']
)
def test_other_preferences_change_nothing(jobs_api: FlaskClient, header: str) -> None:
    response = jobs_api.post("/generate", json=PICTURE, headers={"Prefer": header})
    success(response)
    assert "Preference-Applied" not in response.headers


def test_a_short_wait_gives_the_result_or_the_job(jobs_api: FlaskClient, sim: Simulator) -> None:
    for path, header in (("/jobs", "wait=20"), ("/generate", "respond-async, wait=20")):
        response = jobs_api.post(path, json=PICTURE, headers={"Prefer": header})
        assert success(response)["images"]
        assert response.headers["Preference-Applied"] == header
        picture = jobs_api.post(path, json=PICTURE, headers={"Prefer": header, "Accept": "image/jpeg"})
        assert (picture.status_code, picture.content_type) == (200, "image/jpeg")
    sim.hold()
    for path, header in (("/jobs", "wait=1"), ("/generate", "wait=1, respond-async")):
        accepted(jobs_api.post(path, json={"workflow": graphs.picture()}, headers={"Prefer": header}))
    sim.release()


def test_a_job_that_fails_meanwhile_answers_with_its_error(jobs_api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("EmptyImage", "no memory")
    asked = {"workflow": graphs.picture()}
    failure(jobs_api.post("/jobs", json=asked, headers={"Prefer": "wait=20"}), 500, "execution_failed")


def test_events_begin_at_once_anyway(jobs_api: FlaskClient, sim: Simulator) -> None:
    headers = {"Prefer": "respond-async", "Accept": "text/event-stream"}
    response = jobs_api.post("/generate", json=PICTURE, headers=headers)
    assert response.content_type.startswith("text/event-stream")
    assert "event: result" in response.text
    assert len(queued_at(sim)) == 1
