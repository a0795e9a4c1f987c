"""Polls for an unfinished job are answered when it ends, of callers that poll."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.jobs.jobs import Jobs
from comfybridge.jobs.states import State
from comfybridge.simulator import Simulator
from comfybridge.web.current import EXTENSION
from comfybridge.web.dialects.comfy import held_polls
from tests.dialects.comfy.calls import job, queue
from tests.waiting import until_true
from tests.web.jobs import jobs_of

PYTHON = {"User-Agent": "comfy-sdk-python/0.5.0 (CPython 3.11)"}
TYPESCRIPT = {"User-Agent": "comfy-sdk-typescript/0.1.0 (node v22.1.0)"}
FOREVER = 1000.0
OPEN = ("queued", "running")  # the latter once the agent has said so


@pytest.fixture
def held_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that is held is answered at the end of its job, or not at all."""
    monkeypatch.setattr(held_polls, "HOLDS", (FOREVER,))
    monkeypatch.setattr(held_polls, "FRESH", FOREVER)
    monkeypatch.setattr(held_polls, "PAUSE", FOREVER)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how many seconds polls would be held; none is."""
    found: list[float] = []

    def wait(jobs: Jobs, job_id: str, seconds: float, has_left: Callable[[], bool]) -> State:
        found.append(seconds)
        return replace(jobs.find(job_id, None))

    monkeypatch.setattr(Jobs, "wait", wait)
    return found


def waits(app: Flask) -> int:
    """How many requests and prompts wait."""
    slots = app.extensions[EXTENSION].slots
    return int(slots.taken)


@pytest.mark.parametrize("headers", [PYTHON, TYPESCRIPT, {"Prefer": "wait=20"}])
@pytest.mark.usefixtures("held_forever")
def test_a_poll_is_answered_at_the_end_of_the_job(
    jobs_app: Flask, api: FlaskClient, sim: Simulator, headers: dict[str, str]
) -> None:
    sim.hold()
    running, waiting = queue(api), queue(api)
    sim.wait_until_held()
    with ThreadPoolExecutor() as callers:
        polls = [callers.submit(job, jobs_app.test_client(), each, headers) for each in (running, waiting)]
        until_true(lambda: waits(jobs_app) == 3)  # and the prompt
        assert not any(each.done() for each in polls)
        sim.release()
        assert [each.result()["status"] for each in polls] == ["succeeded"] * 2


@pytest.mark.usefixtures("held_forever")
def test_a_cancelled_job_is_told_at_once(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    job_id = queue(api)
    sim.wait_until_held()
    with ThreadPoolExecutor() as callers:
        poll = callers.submit(job, jobs_app.test_client(), job_id, PYTHON)
        until_true(lambda: waits(jobs_app) == 2)
        api.post(f"/api/v2/jobs/{job_id}/cancel")
        assert poll.result()["status"] == "canceled"


@pytest.mark.usefixtures("held_forever")
def test_others_are_answered_at_once(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    job_id = queue(api)
    sim.wait_until_held()
    for headers in ({}, {"User-Agent": "curl/8.5"}, {"Prefer": "wait=0", **PYTHON}, {"Prefer": "respond-async"}):
        assert job(api, job_id, headers)["status"] in OPEN


def test_polls_in_a_row_are_held_longer(api: FlaskClient, sim: Simulator, held: list[float]) -> None:
    sim.hold()
    job_id, other = queue(api), queue(api)
    for _ in range(6):
        job(api, job_id, PYTHON)
    assert held == [2, 5, 10, 15, 15, 15]
    job(api, other, PYTHON)
    assert held[-1] == 2


def test_a_single_question_is_answered_at_once(
    api: FlaskClient, sim: Simulator, held: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_polls, "FRESH", -FOREVER)  # the job is an old one
    sim.hold()
    job_id = queue(api)
    job(api, job_id, PYTHON)
    assert held == []
    job(api, job_id, PYTHON)  # it does poll
    job(api, job_id, PYTHON)
    assert held == [2, 5]
    monkeypatch.setattr(held_polls, "PAUSE", -1)  # a long time has passed
    job(api, job_id, PYTHON)
    assert held == [2, 5]


def test_a_wish_has_its_limit(api: FlaskClient, sim: Simulator, held: list[float]) -> None:
    sim.hold()
    job_id = queue(api)
    for wait in ("3", "999"):
        job(api, job_id, {"Prefer": f"wait={wait}"})
    assert held == [3, held_polls.LONGEST]


def test_a_job_that_is_about_to_end_is_waited_for(
    api: FlaskClient, sim: Simulator, held: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.hold()
    job_id = queue(api)
    find = Jobs.find
    expected = [0.9]  # seconds

    def found(jobs: Jobs, *given: Any) -> State:
        return replace(find(jobs, *given), eta_seconds=expected[0])

    monkeypatch.setattr(Jobs, "find", found)
    job(api, job_id, PYTHON)
    assert held == [2, 1]
    expected[0] = 2.6  # more than half of the next one
    job(api, job_id, PYTHON)
    assert held == [2, 1, 5]


@pytest.mark.usefixtures("held_forever")
def test_the_last_slots_are_left_to_others(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    app = make_jobs_app(max_concurrent=8)
    api = app.test_client()
    sim.hold()
    job_id = queue(api)
    sim.wait_until_held()
    with ThreadPoolExecutor() as callers:
        polls = [callers.submit(job, app.test_client(), job_id, PYTHON) for _ in range(6)]
        until_true(lambda: waits(app) == 7)  # and the prompt
        assert job(api, job_id, PYTHON)["status"] in OPEN
        sim.release()
        assert {each.result()["status"] for each in polls} == {"succeeded"}


@pytest.mark.usefixtures("held_forever")
def test_a_hang_up_ends_the_wait(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    job_id = queue(api)
    sim.wait_until_held()
    has_left = threading.Event()
    with ThreadPoolExecutor() as callers:
        environ = {"comfybridge.has_left": has_left.is_set}
        poll = callers.submit(
            jobs_app.test_client().get, f"/api/v2/jobs/{job_id}", headers=PYTHON, environ_overrides=environ
        )
        until_true(lambda: waits(jobs_app) == 2)
        has_left.set()
        poll.result()
    assert waits(jobs_app) == 1
    assert not jobs_of(jobs_app).find(job_id, None).has_ended  # nobody else is asked whether it is wanted


@pytest.mark.usefixtures("held_forever")
def test_a_bridge_that_shuts_down_answers(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    _, waiting = queue(api), queue(api)
    sim.wait_until_held()
    with ThreadPoolExecutor() as callers:
        poll = callers.submit(job, jobs_app.test_client(), waiting, PYTHON)
        until_true(lambda: waits(jobs_app) == 2)
        jobs_of(jobs_app).leave()
        assert poll.result()["status"] == "queued"
