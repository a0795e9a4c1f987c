"""A job that is cancelled while it runs ends as it has ended in ComfyUI."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from comfybridge.web.dialects.comfy import jobs as comfy_jobs
from tests.dialects.comfy.calls import ended, job, queue
from tests.waiting import until_true

MANY = 1000


def history_of(sim: Simulator, job_id: str) -> str:
    [kind, _] = sim.history[job_id]["status"]["messages"][-1]
    return str(kind)


def test_a_job_that_its_cancellation_reached_too_late_has_succeeded(
    jobs_app: Flask, api: FlaskClient, sim: Simulator
) -> None:
    sim.hold(deaf=True)
    sim.forget_interrupts(MANY)
    job_id, answers = queue(api), list[Any]()
    sim.wait_until_held()

    def cancel() -> None:
        answers.append(jobs_app.test_client().post(f"/api/v2/jobs/{job_id}/cancel").get_json())

    canceller = threading.Thread(target=cancel)
    canceller.start()
    until_true(lambda: any(each.path.endswith("/interrupt") for each in sim.requests))
    sim.release()
    canceller.join()
    [told] = answers
    assert (told["status"], len(told["outputs"])) == ("succeeded", 1)
    assert told == job(api, job_id)
    assert history_of(sim, job_id) == "execution_success"


def test_a_cancelled_job_was_interrupted(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    job_id = queue(api)
    sim.wait_until_held()
    told = api.post(f"/api/v2/jobs/{job_id}/cancel").get_json()
    assert (told["status"], told["outputs"], told["error"]) == ("canceled", [], None)
    assert history_of(sim, job_id) == "execution_interrupted"


def test_a_job_that_does_not_stop_soon_is_cancelled_all_the_same(
    jobs_app: Flask, api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comfy_jobs, "CANCEL_PATIENCE", 0.1)
    sim.hold(deaf=True)
    job_id = queue(api)
    sim.wait_until_held()
    assert api.post(f"/api/v2/jobs/{job_id}/cancel").get_json()["status"] == "canceled"
    sim.release()
    assert ended(jobs_app, job_id)["status"] == "canceled"
