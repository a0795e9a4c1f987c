"""Jobs over HTTP: queued now, answered later, whatever happens in between."""

from __future__ import annotations

import base64
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from comfybridge.jobs import parts
from comfybridge.jobs.endings import Line
from comfybridge.logs import JsonFormatter
from comfybridge.serving.announcement import announce
from comfybridge.simulator import Simulator
from comfybridge.web.current import JOBS
from tests import graphs
from tests.waiting import until_true
from tests.web.answers import failure, image, success
from tests.web.jobs import accepted, ended, events_in, jobs_api, jobs_app, jobs_of, make_jobs_app, queue, queued_at

__all__ = ["jobs_api", "jobs_app", "make_jobs_app"]

PICTURE = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1, "seed": 5}


def test_a_job_runs_and_answers_as_generate_does(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    job_id = queue(jobs_api, **PICTURE, labels={"project": "coast"})
    job = ended(jobs_app, job_id)
    assert (job["status"], job["workflow"], job["labels"]) == ("succeeded", "txt2img", {"project": "coast"})
    assert (job["position"], job["attempts"], job["priority"]) == (None, 1, 1)
    assert job["created_at"] <= job["started_at"] <= job["ended_at"] < job["expires_at"]
    body = success(jobs_api.get(f"/jobs/{job_id}/result"))
    blocking = success(jobs_api.post("/generate", json=PICTURE))
    assert body.keys() == blocking.keys()
    assert (body["seed"], body["params"]) == (blocking["seed"], blocking["params"])
    assert image(body["images"][0]).size == (64, 64)


def test_accept_chooses_the_form_of_a_result(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    job_id = queue(jobs_api, workflow=graphs.picture(batch=2))
    ended(jobs_app, job_id)
    for index in (0, 1):
        picture = jobs_api.get(f"/jobs/{job_id}/result?index={index}", headers={"Accept": "image/webp"})
        assert picture.content_type == "image/webp"
        assert Image.open(io.BytesIO(picture.data)).size == (64, 48)
    names = zipfile.ZipFile(
        io.BytesIO(jobs_api.get(f"/jobs/{job_id}/result", headers={"Accept": "application/zip"}).data)
    ).namelist()
    assert len(names) == 2
    [(name, data)] = events_in(jobs_api.get(f"/jobs/{job_id}/result", headers={"Accept": "text/event-stream"}).text)
    assert name == "result"
    assert len(json.loads(data)["images"]) == 2


def test_every_form_of_a_body_is_taken(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    fields = {"prompt": "a cat", "width": "64", "height": "64", "steps": "1", "priority": "2", "labels.a": "b"}
    for sent in (
        {"data": fields},
        {"data": fields, "content_type": "multipart/form-data"},
        {"json": {**PICTURE, "priority": 2, "labels": {"a": "b"}}},
        {"json": {"input": {**PICTURE, "priority": 2, "labels": {"a": "b"}}}},
    ):
        job = ended(jobs_app, accepted(jobs_api.post("/jobs", **sent)))
        assert (job["status"], job["priority"], job["labels"]) == ("succeeded", 2, {"a": "b"})


def test_a_wrong_request_is_refused_at_once(jobs_api: FlaskClient) -> None:
    graph = graphs.picture()
    graph["1"]["class_type"] = "NoSuchNode"
    failure(jobs_api.post("/jobs", json={"workflow": graph}), 400, "invalid_workflow")
    failure(jobs_api.post("/jobs", json={"workflow": "nowhere"}), 404, "unknown_workflow")
    for wrong in (
        {"priority": 3},
        {"expires": 1e9},
        {"expires": 0.5},
        {"webhook": "ftp://shop.example/"},
        {"webhook": "http://127.0.0.1/"},
        {"labels": {"": "x"}},
        {"labels": {"a": "x\ny"}},
        {"labels": [1]},
        {"labels": {str(number): "" for number in range(17)}},
        {"steps": "many"},
        {"webhok": "http://shop.example/"},
        {"webhook_url": "http://shop.example/"},
        {"callback_url": "http://shop.example/"},
    ):
        failure(jobs_api.post("/jobs", json={**PICTURE, **wrong}), 400, "invalid_request")
    assert jobs_api.get("/jobs").get_json() == {"jobs": [], "next_cursor": None}


def test_a_failed_job_has_the_error_that_generate_answers(
    jobs_app: Flask, jobs_api: FlaskClient, sim: Simulator
) -> None:
    sim.fail_node("EmptyImage", "no memory")
    job_id = queue(jobs_api, workflow=graphs.picture())
    job = ended(jobs_app, job_id)
    error = failure(jobs_api.get(f"/jobs/{job_id}/result"), 500, "execution_failed")
    blocking = failure(jobs_api.post("/generate", json={"workflow": graphs.picture()}), 500, "execution_failed")
    assert job["status"] == "failed"
    for body in (job["error"], error):
        assert body["prompt_id"] == job_id
        assert (body["error"], body["node"]) == (blocking["error"], blocking["node"])
    [(name, _)] = events_in(jobs_api.get(f"/jobs/{job_id}/events").text)
    assert name == "error"


def test_a_waiting_job_tells_its_place_and_is_cancelled(
    jobs_app: Flask, jobs_api: FlaskClient, sim: Simulator
) -> None:
    sim.hold()
    first = queue(jobs_api, workflow=graphs.picture())
    sim.wait_until_running()
    second, third = queue(jobs_api, workflow=graphs.picture()), queue(jobs_api, workflow=graphs.picture())
    places = [jobs_api.get(f"/jobs/{each}").get_json()["position"] for each in (first, second, third)]
    assert places == [0, 1, 2]
    unfinished = jobs_api.get(f"/jobs/{second}/result")
    assert (unfinished.status_code, unfinished.get_json()["status"]) == (202, "queued")
    assert jobs_api.get(f"/results/{second}").get_json() == {
        "status": "pending",
        "prompt_id": second,
        "position": 1,
    }
    assert [each["prompt_id"] for each in jobs_api.get("/queue").get_json()["jobs"]] == [second, third]
    cancelled = jobs_api.post(f"/jobs/{second}/cancel").get_json()
    assert (cancelled["was"], cancelled["status"]) == ("queued", "cancelled")
    again = jobs_api.post(f"/jobs/{second}/cancel").get_json()
    assert (again["was"], again["status"]) == ("cancelled", "cancelled")
    failure(jobs_api.get(f"/jobs/{second}/result"), 409, "interrupted")
    failure(jobs_api.get(f"/results/{second}"), 409, "interrupted")
    assert jobs_api.post(f"/cancel/{first}").get_json() == {"prompt_id": first, "was": "running"}
    failure(jobs_api.post(f"/cancel/{first}"), 404, "unknown_prompt")
    sim.release()
    assert ended(jobs_app, third)["status"] == "succeeded"
    assert ended(jobs_app, first)["status"] == "cancelled"


def test_results_and_cancel_know_ended_jobs(jobs_app: Flask, jobs_api: FlaskClient, sim: Simulator) -> None:
    job_id = queue(jobs_api, **PICTURE)
    ended(jobs_app, job_id)
    sim.restart()
    assert success(jobs_api.get(f"/results/{job_id}"))["images"]
    picture = jobs_api.get(f"/results/{job_id}", headers={"Accept": "image/*"})
    assert picture.content_type == "image/png"
    failure(jobs_api.post(f"/cancel/{job_id}"), 404, "unknown_prompt")


def test_a_repeat_gets_the_first_job(jobs_app: Flask, jobs_api: FlaskClient, sim: Simulator) -> None:
    key = {"Idempotency-Key": "order-7"}
    first = queue(jobs_api, key, **PICTURE)
    assert queue(jobs_api, key, **PICTURE) == first
    ended(jobs_app, first)
    assert queue(jobs_api, key, **PICTURE) == first
    failure(jobs_api.post("/jobs", json={**PICTURE, "seed": 6}, headers=key), 409, "idempotency_conflict")
    assert len(queued_at(sim)) == 1


def test_a_repeat_that_asks_something_else_of_the_job_is_refused(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    key, job = {"Idempotency-Key": "order-7"}, {**PICTURE, "labels": {"a": "b"}, "priority": 2}
    first = queue(jobs_api, key, **job)
    assert queue(jobs_api, key, **job) == first
    for other in ({"labels": {"a": "c"}}, {"priority": 1}, {"webhook": "https://shop.example/hook"}):
        failure(jobs_api.post("/jobs", json={**job, **other}, headers=key), 409, "idempotency_conflict")
    failure(jobs_api.post("/generate", json=PICTURE, headers=key), 409, "idempotency_conflict")


def test_a_blocking_request_with_its_key_does_not_spoil_a_waiting_job(
    jobs_app: Flask, jobs_api: FlaskClient, sim: Simulator
) -> None:
    sim.hold()
    queue(jobs_api, workflow=graphs.picture())
    sim.wait_until_running()
    key = {"Idempotency-Key": "order-7"}
    waiting = queue(jobs_api, key, **PICTURE)
    other = jobs_api.post("/generate", json={**PICTURE, "seed": 6, "timeout": 1}, headers=key)
    failure(other, 409, "idempotency_conflict")
    sim.release()
    assert ended(jobs_app, waiting)["status"] == "succeeded"


def test_labels_are_texts_as_json_writes_them(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    job_id = queue(jobs_api, **PICTURE, labels={"paid": True, "copies": 2, "to": "東京"})
    assert ended(jobs_app, job_id)["labels"] == {"paid": "true", "copies": "2", "to": "東京"}


def test_the_end_of_a_job_is_a_line_of_fields(
    jobs_app: Flask, jobs_api: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    job_id = queue(jobs_api, **PICTURE)
    ended(jobs_app, job_id)
    until_true(lambda: any(isinstance(each.msg, Line) for each in caplog.records))
    [record] = [each for each in caplog.records if isinstance(each.msg, Line)]
    line = json.loads(JsonFormatter(quotes=False).format(record))
    assert (line["job_id"], line["outcome"], line["workflow"]) == (job_id, "succeeded", "txt2img")


def test_what_is_no_longer_kept_is_unknown(
    make_jobs_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_jobs_app(fetch_allow_hosts=["127.0.0.1"])
    api = app.test_client()
    plain = queue(api, **PICTURE, expires=3600)
    told = queue(api, **PICTURE, expires=3600, webhook="http://127.0.0.1:9/")
    for each in (plain, told):
        ended(app, each)
    real = time.time
    monkeypatch.setattr("comfybridge.jobs.parts.time.time", lambda: real() + 3601)
    for address in ("", "/result", "/events"):
        failure(api.get(f"/jobs/{plain}{address}"), 404, "unknown_prompt")
    failure(api.get(f"/jobs/{told}/result"), 404, "unknown_prompt")
    assert api.get(f"/jobs/{told}").get_json()["webhook"]["tries"] >= 0  # what became of it is known for longer
    assert api.get("/jobs").get_json()["jobs"] == []


def test_jobs_are_listed_in_pages(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    made = [queue(jobs_api, workflow=graphs.picture(), labels={"n": str(number)}) for number in range(5)]
    for each in made:
        ended(jobs_app, each)
    seen, cursor = [], ""
    while cursor is not None:
        page = jobs_api.get(f"/jobs?limit=2&cursor={cursor}").get_json()
        seen += [each["id"] for each in page["jobs"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    assert [each["id"] for each in jobs_api.get("/jobs?label=n:3").get_json()["jobs"]] == [made[3]]
    assert jobs_api.get("/jobs?label=n:3&label=n:4").get_json()["jobs"] == []
    assert jobs_api.get("/jobs?label=n:3&status=failed").get_json()["jobs"] == []
    assert len(jobs_api.get("/jobs?status=succeeded").get_json()["jobs"]) == 5
    assert len(jobs_api.get("/jobs?status=failed&status=succeeded").get_json()["jobs"]) == 5
    for wrong in (
        "limit=0",
        "limit=101",
        "limit=x",
        "status=done",
        "status=queued&status=done",
        "label=n",
        "cursor=x",
        "cursor=e30",
        *(
            f"cursor={base64.urlsafe_b64encode(text.encode()).decode()}"
            for text in ("1", '"12"', '[NaN, "x"]', '[1e999, "x"]', f'[1{400 * "0"}, "x"]')
        ),
    ):
        failure(jobs_api.get(f"/jobs?{wrong}"), 400, "invalid_request")


def test_more_jobs_than_there_is_room_for_are_refused_whole(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    app = make_jobs_app(max_jobs=2)
    api = app.test_client()
    sim.hold()
    made = [queue(api, workflow=graphs.picture()) for _ in range(2)]
    response = api.post("/jobs", json={"workflow": graphs.picture()})
    failure(response, 503, "busy")
    assert int(response.headers["Retry-After"]) >= 1
    later = api.post("/generate", json={"workflow": graphs.picture()}, headers={"Prefer": "respond-async"})
    failure(later, 503, "busy")
    assert [each["id"] for each in api.get("/jobs").get_json()["jobs"]] == made[::-1]
    sim.release()
    for job_id in made:
        assert ended(app, job_id)["status"] == "succeeded"
    queue(api, workflow=graphs.picture())


def test_jobs_survive_a_restart(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    sim.hold()
    before = make_jobs_app()
    done = queue(before.test_client(), workflow=graphs.picture())
    waits = queue(before.test_client(), **PICTURE)
    jobs_of(before).leave()
    jobs_of(before).close()
    after = make_jobs_app()
    jobs_of(after).begin()
    sim.release()
    assert {ended(after, each)["status"] for each in (done, waits)} == {"succeeded"}
    assert len(queued_at(sim)) == 2


def test_a_result_is_kept_for_as_long_as_was_asked(
    jobs_app: Flask, jobs_api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = queue(jobs_api, workflow=graphs.picture(), expires=100)
    usual = queue(jobs_api, workflow=graphs.picture())
    for job_id in (short, usual):
        ended(jobs_app, job_id)
    now = time.time()
    monkeypatch.setattr(parts.time, "time", lambda: now + 101)
    for path in ("", "/result", "/events"):
        failure(jobs_api.get(f"/jobs/{short}{path}"), 404, "unknown_prompt")
    assert [each["id"] for each in jobs_api.get("/jobs").get_json()["jobs"]] == [usual]


def test_files_go_along_and_come_back(jobs_app: Flask, jobs_api: FlaskClient) -> None:
    noise = Image.frombytes("RGB", (900, 900), os.urandom(900 * 900 * 3))  # more than the engine takes at once
    sent = io.BytesIO()
    noise.save(sent, "PNG")
    graph = {"1": graphs.node("LoadImage", image="noise.png"), "2": graphs.node("SaveImage", images=["1", 0])}
    graph["2"]["inputs"]["filename_prefix"] = "x"
    form = {"workflow": json.dumps(graph), "noise.png": (io.BytesIO(sent.getvalue()), "noise.png")}
    job_id = accepted(jobs_api.post("/jobs", data=form))
    assert ended(jobs_app, job_id)["status"] == "succeeded"
    made = jobs_api.get(f"/jobs/{job_id}/result", headers={"Accept": "image/png"})
    assert Image.open(io.BytesIO(made.data)).tobytes() == noise.tobytes()


def test_nothing_is_started_by_those_who_ask(jobs_app: Flask, jobs_api: FlaskClient, tmp_path: Path) -> None:
    success(jobs_api.post("/generate", json=PICTURE))
    failure(jobs_api.post("/jobs", json={"priority": 3}), 400, "invalid_request")
    failure(jobs_api.post("/jobs", json={"workflow": "nowhere"}), 404, "unknown_workflow")
    failure(jobs_api.get("/jobs/x"), 404, "unknown_prompt")
    failure(jobs_api.get("/jobs/x/events"), 404, "unknown_prompt")
    failure(jobs_api.get("/jobs/x/result"), 404, "unknown_prompt")
    failure(jobs_api.post("/jobs/x/cancel"), 404, "unknown_prompt")
    failure(jobs_api.get("/results/x"), 404, "unknown_prompt")
    assert jobs_api.get("/jobs").get_json()["jobs"] == []
    assert "agents" not in jobs_api.get("/stats").get_json()
    assert "comfybridge_jobs{" not in jobs_api.get("/metrics").text
    jobs_of(jobs_app).begin()
    assert jobs_of(jobs_app).figures() is None
    assert not (tmp_path / "state" / "engine").exists()


def test_without_jobs_there_are_no_such_addresses(make_app: Callable[..., Flask]) -> None:
    app = make_app(jobs=False)
    api = app.test_client()
    assert app.extensions[JOBS] is None
    for call in (api.get("/jobs"), api.post("/jobs", json=PICTURE), api.get("/jobs/x"), api.get("/progress/x")):
        assert "/jobs" not in failure(call, 404, "not_found")["error"].split(";")[-1]
    document = api.get("/openapi.json").get_json()
    assert not [path for path in document["paths"] if path.startswith(("/jobs", "/generate-", "/progress"))]
    success(api.post("/generate", json=PICTURE, headers={"Prefer": "respond-async"}))
    failure(api.post("/generate", json={**PICTURE, "webhook_url": "https://shop.example/"}), 400, "invalid_request")


def test_without_the_engines_program_all_else_works(
    make_jobs_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_jobs_app(nats_server=tmp_path / "nowhere")
    announce(app, [])
    assert "there are no jobs. COMFYBRIDGE_NATS_SERVER names no program" in caplog.text
    api = app.test_client()
    error = failure(api.post("/jobs", json=PICTURE), 503, "engine_unreachable")
    assert "nats-server" in error["error"]
    success(api.post("/generate", json=PICTURE))
    success(api.post("/generate", json=PICTURE, headers={"Prefer": "respond-async"}))
    failure(api.get("/results/x"), 404, "unknown_prompt")


@pytest.mark.parametrize("public_url", [None, "https://pictures.example/comfy"])
def test_addresses_are_those_that_callers_use(make_jobs_app: Callable[..., Flask], public_url: str | None) -> None:
    api = make_jobs_app(public_url=public_url).test_client()
    body = api.post("/jobs", json=PICTURE).get_json()
    base = f"{public_url or 'http://localhost'}/jobs/{body['id']}"
    assert body["urls"] == {
        "self": base,
        "events": f"{base}/events",
        "cancel": f"{base}/cancel",
        "result": f"{base}/result",
    }
