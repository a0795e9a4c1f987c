"""A job that is cancelled ends as it has ended in ComfyUI."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.jobs.jobs import Jobs
from comfybridge.prompts.queueing import Queueing
from comfybridge.simulator import Simulator
from tests.dialects.comfy.calls import ended, job, queue
from tests.waiting import until_true
from tests.web.jobs import SECONDS, queued_at

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


@pytest.mark.parametrize("deaf", [True, False])
def test_a_job_that_does_not_stop_soon_is_being_cancelled_until_comfyui_says_what_became_of_it(
    jobs_app: Flask, api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    monkeypatch.setattr(Jobs.cancel, "__kwdefaults__", {"patience": 0.1})
    sim.hold(deaf=True)
    if deaf:
        sim.forget_interrupts(MANY)
    job_id = queue(api)
    sim.wait_until_held()
    assert api.post(f"/api/v2/jobs/{job_id}/cancel").get_json()["status"] == "canceling"
    assert job(api, job_id)["status"] == "canceling"
    [listed] = api.get("/api/v2/jobs").get_json()["jobs"]
    assert listed["status"] == "canceling"
    assert api.get(f"/jobs/{job_id}").get_json()["status"] == "cancelling"
    assert [each["id"] for each in api.get("/jobs?status=cancelling").get_json()["jobs"]] == [job_id]
    assert api.post(f"/jobs/{job_id}/cancel").get_json()["was"] == "cancelling"
    sim.release()
    became = ended(jobs_app, job_id)["status"]
    assert became == {"execution_success": "succeeded", "execution_interrupted": "canceled"}[history_of(sim, job_id)]


def test_a_job_that_is_cancelled_before_its_prompt_is_queued_is_not_queued(
    jobs_app: Flask, api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its agent has claimed it, and prepares its graph."""
    reached, go_on = threading.Event(), threading.Event()
    prepared = Queueing._prepared

    def slow(*args: Any) -> Any:
        if threading.current_thread().name == "comfybridge job":
            reached.set()
            assert go_on.wait(SECONDS)
        return prepared(*args)

    monkeypatch.setattr(Queueing, "_prepared", slow)
    job_id = queue(api)
    assert reached.wait(SECONDS)
    answers = list[Any]()

    def cancel() -> None:
        answers.append(jobs_app.test_client().post(f"/api/v2/jobs/{job_id}/cancel").get_json())

    canceller = threading.Thread(target=cancel)
    canceller.start()
    until_true(lambda: job(api, job_id)["status"] == "canceling")
    go_on.set()
    canceller.join()
    assert [each["status"] for each in answers] == ["canceled"]
    assert job_id not in sim.history
    assert queued_at(sim) == []


def test_jobs_that_are_cancelled_at_random_end_as_comfyui_says(
    jobs_app: Flask, api: FlaskClient, sim: Simulator
) -> None:
    lots, ids = random.Random(1), [queue(api) for _ in range(60)]
    told: dict[str, str] = {}

    def cancel(some: list[str]) -> None:
        own = jobs_app.test_client()
        for each in some:
            threading.Event().wait(lots.random() * 0.02)
            told[each] = own.post(f"/api/v2/jobs/{each}/cancel").get_json()["status"]

    threads = [threading.Thread(target=cancel, args=[ids[number::4]]) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for job_id in ids:
        became = ended(jobs_app, job_id)["status"]
        ran = job_id in sim.history and history_of(sim, job_id) == "execution_success"
        assert became == ("succeeded" if ran else "canceled")
        assert told[job_id] in (became, "canceling")


@pytest.mark.parametrize("became", ["succeeded", "cancelled"])
@pytest.mark.parametrize("path", ["/jobs/{}/cancel", "/cancel/{}"])
def test_the_native_cancels_tell_the_same_truth(
    jobs_app: Flask, api: FlaskClient, sim: Simulator, path: str, became: str
) -> None:
    sim.hold(deaf=became == "succeeded")
    if became == "succeeded":
        sim.forget_interrupts(MANY)
    job_id, answers = queue(api), list[Any]()
    sim.wait_until_held()

    def cancel() -> None:
        answers.append(jobs_app.test_client().post(path.format(job_id)))

    canceller = threading.Thread(target=cancel)
    canceller.start()
    until_true(lambda: any(each.path.endswith("/interrupt") for each in sim.requests))
    if became == "succeeded":
        sim.release()
    canceller.join()
    [answer] = answers
    if path.startswith("/jobs"):
        assert (answer.status_code, answer.get_json()["status"]) == (200, became)
    else:
        assert answer.status_code == (404 if became == "succeeded" else 200), answer.text
    assert api.get(f"/jobs/{job_id}").get_json()["status"] == became
