"""A job as server-sent events: its state now, what happens to it, and its end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.bridge import Bridge
from comfybridge.engine.engine import Engine
from comfybridge.jobs.first_result import store_result
from comfybridge.jobs.job import Result
from comfybridge.simulator import Simulator
from comfybridge.web.answers import queued_jobs
from comfybridge.web.current import EXTENSION
from tests import graphs
from tests.served import served
from tests.waiting import until_true
from tests.web.answers import failure, image
from tests.web.jobs import ended, events_in, jobs_api, jobs_app, jobs_of, make_jobs_app, queue

__all__ = ["jobs_api", "jobs_app", "make_jobs_app"]

SAMPLED = {"workflow": "txt2img", "prompt": "a cat", "width": 64, "height": 64, "steps": 4}


def following(
    url: str, job_id: str, path: str = "/jobs/{}/events"
) -> tuple[requests.Response, Iterator[tuple[str, Any]]]:
    """The events of a job, each as it comes."""
    response = requests.get(url + path.format(job_id), stream=True, timeout=20)
    assert response.status_code == 200, response.text

    def events() -> Iterator[tuple[str, Any]]:
        block = ""
        for line in iter(response.raw.readline, b""):
            block += line.decode()
            if line == b"\n":
                for name, data in events_in(block):
                    yield name, json.loads(data)
                block = ""

    return response, events()


def test_the_events_of_a_job_tell_its_place_its_progress_and_its_result(jobs_app: Flask, sim: Simulator) -> None:
    sim.hold_steps(after=1)
    api = jobs_app.test_client()
    with served(jobs_app) as url:
        first = queue(api, workflow=graphs.txt2img(sim.checkpoints[0], steps=4))
        sim.wait_until_running()
        second = queue(api, workflow=graphs.picture())
        until_true(lambda: jobs_of(jobs_app).find(first, None).progress)
        response, events = following(url, first)
        assert next(events) == ("queued", {"prompt_id": first, "position": 0})
        assert next(events)[0] == "progress"
        waiting, waits = following(url, second)
        name, data = next(waits)
        assert (name, data["position"]) == ("queued", 1)
        sim.release()
        rest = list(events)
        assert {name for name, _ in rest[:-1]} <= {"queued", "progress", "preview"}
        assert rest[-1][0] == "result"
        assert rest[-1][1]["prompt_id"] == first
        percents = [data["percent"] for name, data in rest if name == "progress"]
        assert percents == sorted(percents)
        assert [name for name, _ in waits][-1] == "result"
        response.close()
        waiting.close()


def test_previews_come_while_someone_follows(jobs_app: Flask, sim: Simulator) -> None:
    sim.step_seconds = 0.05
    api = jobs_app.test_client()
    with served(jobs_app) as url:
        job_id = queue(api, workflow=graphs.txt2img(sim.checkpoints[0], steps=2000))  # it is cancelled long before
        _, events = following(url, job_id)
        preview = next(data for name, data in events if name == "preview")
        assert image(preview["data"]).size > (0, 0)
        assert api.post(f"/jobs/{job_id}/cancel").get_json()["was"] == "running"
        assert list(events)[-1][0] == "error"


def test_the_events_of_an_ended_job_are_its_end(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    job_id = queue(jobs_api, workflow=graphs.picture())
    ended(jobs_app, job_id)
    [(name, data)] = events_in(jobs_api.get(f"/jobs/{job_id}/events").text)
    assert (name, json.loads(data)["prompt_id"]) == ("result", job_id)


def test_who_hangs_up_leaves_nothing_behind(jobs_app: Flask, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued_jobs, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(queued_jobs, "LOOK_SECONDS", 0.05)
    bridge: Bridge = jobs_app.extensions[EXTENSION]
    sim.hold()
    with served(jobs_app) as url:
        job_id = queue(jobs_app.test_client(), workflow=graphs.picture())
        sim.wait_until_running()
        response, events = following(url, job_id)
        next(events)
        taken = bridge.slots.taken
        response.close()
        until_true(lambda: bridge.slots.taken == taken - 1)
        sim.release()
        assert ended(jobs_app, job_id)["status"] == "succeeded"


def test_a_cancelled_job_ends_its_events(jobs_app: Flask, sim: Simulator) -> None:
    sim.hold()
    api = jobs_app.test_client()
    with served(jobs_app) as url:
        job_id = queue(api, workflow=graphs.picture())
        _, events = following(url, job_id)
        next(events)
        api.post(f"/jobs/{job_id}/cancel")
        name, data = list(events)[-1]
        assert (name, data["type"]) == ("error", "interrupted")


@pytest.mark.parametrize(
    ("path", "field", "said"),
    [("/jobs/{}/events", "position", [1, None]), ("/progress/{}", "status", ["queued", "cancelled"])],
)
def test_a_job_that_is_cancelled_before_it_runs_is_never_said_to_run(
    jobs_app: Flask, sim: Simulator, monkeypatch: pytest.MonkeyPatch, path: str, field: str, said: list[object]
) -> None:
    def store_late(engine: Engine, result: Result) -> Result:
        time.sleep(0.3)
        return store_result(engine, result)

    monkeypatch.setattr("comfybridge.jobs.queue.store_result", store_late)
    sim.hold()
    api = jobs_app.test_client()
    with served(jobs_app) as url:
        queue(api, workflow=graphs.picture())
        sim.wait_until_running()
        job_id = queue(api, workflow=graphs.picture())
        until_true(lambda: jobs_of(jobs_app).find(job_id, None).position == 1)
        _, events = following(url, job_id, path)
        told = [next(events)]
        api.post(f"/jobs/{job_id}/cancel")
        told += list(events)
        sim.release()
    assert [data.get(field) for _, data in told] == said


def test_older_progress_counts_to_one(jobs_app: Flask, sim: Simulator) -> None:
    sim.hold_steps(after=1)
    api = jobs_app.test_client()
    with served(jobs_app) as url:
        response = api.post("/generate-async", json={"workflow": graphs.txt2img(sim.checkpoints[0], steps=4)})
        body = response.get_json()
        assert (response.status_code, body["id"]) == (202, body["prompt_id"])
        until_true(lambda: jobs_of(jobs_app).find(body["id"], None).progress)
        _, events = following(url, body["prompt_id"], "/progress/{}")
        told = [next(events), next(events)]
        sim.release()
        told += list(events)
    assert {name for name, _ in told} == {"message"}
    last = told[-1][1]
    assert (last["status"], last["progress"], last["current_node"]) == ("completed", 1.0, None)
    shares = [data["progress"] for _, data in told]
    assert shares == sorted(shares)
    assert "KSampler" in {data["current_node"] for _, data in told}


def test_without_a_free_slot_nobody_can_follow(make_jobs_app: Any, sim: Simulator) -> None:
    app = make_jobs_app(max_concurrent=1)
    bridge: Bridge = app.extensions[EXTENSION]
    job_id = queue(app.test_client(), workflow=graphs.picture())
    ended(app, job_id)
    until_true(lambda: bridge.slots.has_free)
    bridge.slots.take()
    failure(app.test_client().get(f"/jobs/{job_id}/events"), 503, "busy")
