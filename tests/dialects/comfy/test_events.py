"""A job as server-sent events of the Comfy API v2."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.jobs.jobs import Jobs
from comfybridge.simulator import Simulator
from comfybridge.web.answers import queued_jobs
from comfybridge.web.current import EXTENSION
from tests import graphs
from tests.served import served
from tests.waiting import until_true
from tests.web.answers import image
from tests.web.jobs import ended, events_in, jobs_of, queue

EVENTS = "/api/v2/jobs/{}/events"


def following(url: str, job_id: str) -> tuple[requests.Response, Iterator[tuple[str, Any]]]:
    """The events of a job, each as it comes."""
    response = requests.get(url + EVENTS.format(job_id), stream=True, timeout=20)
    assert response.status_code == 200, response.text

    def events() -> Iterator[tuple[str, Any]]:
        left = ""
        for chunk in response.iter_content(None):
            *blocks, left = (left + chunk.decode()).split("\n\n")
            for name, data in events_in("\n\n".join(blocks)):
                yield name, json.loads(data)

    return response, events()


def of(events: list[tuple[str, Any]], name: str) -> list[Any]:
    return [data for each, data in events if each == name]


def test_status_comes_first_then_progress_and_the_end_last(
    jobs_app: Flask, api: FlaskClient, url: str, sim: Simulator
) -> None:
    sim.hold_steps(after=1)
    job_id = queue(api, workflow=graphs.txt2img(sim.checkpoints[0], steps=4))
    until_true(lambda: (state := jobs_of(jobs_app).find(job_id, None)).progress and state.progress.value == 1)
    _, events = following(url, job_id)
    assert next(events) == ("status", {"status": "running"})
    assert next(events) == (
        "progress",
        {
            "value": pytest.approx(0.43, abs=0.01),
            "nodes_done": 4,
            "nodes_total": 7,
            "current_node": "3",
            "current_node_class": "KSampler",
            "step": 1,
            "steps": 4,
            "message": "KSampler 1/4",
        },
    )
    sim.release()
    rest = list(events)
    assert rest[-1] == ("status", {"status": "succeeded"})
    values = [each["value"] for each in of(rest, "progress")]
    assert values == sorted(values)


def test_a_job_that_waits_tells_each_place_and_then_that_it_runs(
    jobs_app: Flask, api: FlaskClient, url: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.watching.PLACE_SECONDS", 0.02)
    sim.hold()
    first = queue(api, workflow=graphs.picture())
    until_true(lambda: jobs_of(jobs_app).find(first, None).status == "running")
    second, third = (queue(api, workflow=graphs.picture()) for _ in range(2))
    _, events = following(url, third)
    assert next(events) == ("status", {"status": "queued", "queue_position": 2})
    api.post(f"/jobs/{second}/cancel")
    assert next(events) == ("status", {"status": "queued", "queue_position": 1})
    api.post(f"/jobs/{first}/cancel")
    assert next(events) == ("status", {"status": "running"})
    sim.release()
    assert list(events)[-1] == ("status", {"status": "succeeded"})


def test_a_job_that_is_being_cancelled_does_not_run(
    api: FlaskClient, url: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs.cancel, "__kwdefaults__", {"patience": 0.0})
    sim.hold(deaf=True)
    job_id = queue(api, workflow=graphs.picture())
    sim.wait_until_held()
    _, early = following(url, job_id)
    assert next(early) == ("status", {"status": "running"})
    assert api.post(f"/api/v2/jobs/{job_id}/cancel").get_json()["status"] == "canceling"
    _, late = following(url, job_id)
    assert next(late) == ("status", {"status": "canceling"})
    sim.release()
    assert of(list(early), "status") == [{"status": "canceling"}, {"status": "canceled"}]
    assert of(list(late), "status") == [{"status": "canceled"}]


def test_previews_have_their_own_type_and_come_no_more_often_than_twice_a_second(
    api: FlaskClient, url: str, sim: Simulator
) -> None:
    sim.step_seconds = 0.02
    job_id = queue(api, workflow=graphs.txt2img(sim.checkpoints[0], steps=2000))  # it is cancelled long before
    _, events = following(url, job_id)
    found: dict[str, list[float]] = {"progress": [], "preview": []}
    for name, data in events:
        found.setdefault(name, []).append(time.monotonic())
        if name == "preview":
            assert (data["content_type"], data["node_id"]) == ("image/jpeg", "3")
            assert image(data["data_base64"]).size > (0, 0)
            assert base64.b64decode(data["data_base64"]).startswith(b"\xff\xd8")
        if len(found["progress"]) >= 4 and len(found["preview"]) >= 3:
            break
    for times in (found["progress"], found["preview"]):
        assert times[-1] - times[0] > 0.4 * (len(times) - 1)
    api.post(f"/jobs/{job_id}/cancel")
    assert [data for name, data in events][-1] == {"status": "canceled"}


def test_who_comes_while_a_node_says_nothing_gets_its_last_preview(
    jobs_app: Flask, api: FlaskClient, url: str, sim: Simulator
) -> None:
    sim.hold_steps(after=2)
    job_id = queue(api, workflow=graphs.txt2img(sim.checkpoints[0], steps=4))
    until_true(lambda: (state := jobs_of(jobs_app).find(job_id, None)).progress and state.progress.value == 2)
    for _ in range(2):
        response, events = following(url, job_id)
        assert [next(events)[0] for _ in range(3)] == ["status", "progress", "preview"]
        response.close()
    sim.release()
    assert ended(jobs_app, job_id)["status"] == "succeeded"


@pytest.mark.parametrize("seen_by", ["early", "late"])
def test_two_watchers_see_the_same_end(
    jobs_app: Flask, api: FlaskClient, url: str, sim: Simulator, seen_by: str
) -> None:
    sim.hold()
    job_id = queue(api, workflow=graphs.picture())
    sim.wait_until_running()
    if seen_by == "late":
        sim.release()
        ended(jobs_app, job_id)
    watchers = [following(url, job_id)[1] for _ in range(2)]
    if seen_by == "early":
        assert [next(each) for each in watchers] == [("status", {"status": "running"})] * 2
        sim.release()
    seen = [[each for each in events if each[0] in ("status", "output")] for events in watchers]
    assert seen[0] == seen[1]
    assert of(seen[0], "output") == api.get(f"/api/v2/jobs/{job_id}", base_url=url).get_json()["outputs"]
    assert len(of(seen[0], "output")) == 1
    assert seen[0][-1] == ("status", {"status": "succeeded"})


def test_a_failed_job_ends_with_its_status(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("SaveImage", "out of ink")
    job_id = queue(api, workflow=graphs.picture())
    ended(jobs_app, job_id)
    events = events_in(api.get(EVENTS.format(job_id)).text)
    assert events == [("status", '{"status": "failed"}')]


def test_there_are_as_many_streams_as_slots_and_a_hang_up_frees_one(
    make_jobs_app: Any, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_jobs, "HEARTBEAT_SECONDS", 0.05)  # this server notices a hang-up when it writes
    app = make_jobs_app(max_concurrent=3)
    slots = app.extensions[EXTENSION].slots
    sim.hold()
    api = app.test_client()
    job_id = queue(api, workflow=graphs.picture())
    sim.wait_until_running()
    with served(app) as url:
        room = slots.count - slots.taken  # the job itself has taken one
        streams = [following(url, job_id) for _ in range(room)]
        for _, events in streams:
            next(events)
        refused = requests.get(url + EVENTS.format(job_id), timeout=10)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
        assert int(refused.headers["Retry-After"]) >= 1
        assert api.get(f"/jobs/{job_id}").status_code == 200
        streams[0][0].close()
        until_true(lambda: slots.has_free)
        sim.release()
        for _, events in streams[1:]:
            assert list(events)[-1][1] == {"status": "succeeded"}


def test_comments_keep_an_idle_stream_open(
    api: FlaskClient, url: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_jobs, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(queued_jobs, "LOOK_SECONDS", 0.02)
    sim.hold()
    job_id = queue(api, workflow=graphs.picture())
    sim.wait_until_running()
    with requests.get(url + EVENTS.format(job_id), stream=True, timeout=20) as response:
        lines = iter(response.raw.readline, b"")
        assert b": waiting\n" in lines
        sim.release()


def test_a_bridge_that_shuts_down_ends_its_streams_without_an_event(
    jobs_app: Flask, api: FlaskClient, url: str, sim: Simulator
) -> None:
    sim.hold()
    job_id = queue(api, workflow=graphs.picture())
    sim.wait_until_running()
    _, events = following(url, job_id)
    assert next(events) == ("status", {"status": "running"})
    jobs_of(jobs_app).leave()
    rest = [data["status"] for name, data in events if name == "status"]  # and the chunked body has its end
    assert rest in ([], ["queued"])  # given back
    sim.release()


def test_a_job_of_another_caller_has_no_events(api: FlaskClient) -> None:
    answer = api.get(EVENTS.format("unknown"))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")
