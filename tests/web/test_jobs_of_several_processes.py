"""Several processes of a bridge have the same jobs. Two applications with one state folder are as good as two."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from flask import Flask

from comfybridge.simulator import Simulator
from tests import graphs
from tests.waiting import until_true
from tests.web.answers import failure, success
from tests.web.jobs import ended, jobs_of, make_jobs_app, queue, queued_at

__all__ = ["make_jobs_app"]


def test_each_knows_the_jobs_of_the_other_at_once(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    one, other = make_jobs_app(), make_jobs_app()
    jobs_of(other).begin()  # nothing yet
    for _ in range(5):
        job_id = queue(one.test_client(), workflow=graphs.picture())
        assert other.test_client().get(f"/jobs/{job_id}").status_code == 200
        assert ended(other, job_id)["status"] == "succeeded"
        success(one.test_client().get(f"/jobs/{job_id}/result"))
        success(other.test_client().get(f"/results/{job_id}"))
    assert len(queued_at(sim)) == 5


def test_a_job_is_cancelled_and_repeated_in_any_of_them(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    one, other = make_jobs_app(), make_jobs_app()
    key = {"Idempotency-Key": "order-8"}
    sim.hold()
    running = queue(one.test_client(), workflow=graphs.picture())
    sim.wait_until_running()
    graph = graphs.picture()
    waiting = queue(one.test_client(), key, workflow=graph)
    assert queue(other.test_client(), key, workflow=graph) == waiting
    for job_id, was in ((waiting, "queued"), (running, "running")):
        assert other.test_client().post(f"/jobs/{job_id}/cancel").get_json()["was"] == was
        assert jobs_of(one).wait(job_id, 20).status == "cancelled"
        failure(one.test_client().get(f"/jobs/{job_id}/result"), 409, "interrupted")
    sim.release()
    until_true(lambda: not sim.running)


def test_the_end_of_a_job_is_logged_and_counted_once(
    make_jobs_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    apps = [make_jobs_app(), make_jobs_app()]
    made = [queue(app.test_client(), workflow=graphs.picture()) for app in apps for _ in range(3)]
    for job_id in made:
        for app in apps:
            ended(app, job_id)

    def lines() -> list[str]:
        return [str(each.msg) for each in caplog.records if each.name == "comfybridge.jobs.endings"]

    def counted() -> float:
        texts = [app.test_client().get("/metrics").text for app in apps]
        found = [
            line for text in texts for line in text.splitlines() if line.startswith("comfybridge_jobs_ended_total")
        ]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    until_true(lambda: counted() == len(made))
    assert sorted(made) == sorted(job_id for job_id in made for line in lines() if job_id in line)


def test_a_key_whose_result_is_no_longer_kept_begins_another_job_wherever_it_comes_again(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    one, other = make_jobs_app(), make_jobs_app()
    key = {"Idempotency-Key": "order-9"}
    graph = graphs.picture()
    job_id = queue(one.test_client(), key, workflow=graph, expires=1)
    ended(one, job_id)
    ended(other, job_id)
    sim.restart()  # ComfyUI remembers keys too

    def again(app: Flask) -> bool:
        """Whether the job was taken anew; until the engine has removed the old result, the caller is to wait."""
        response = app.test_client().post("/jobs", json={"workflow": graph, "expires": 600}, headers=key)
        if response.status_code == 202:
            return True
        assert response.get_json()["type"] in ("idempotency_conflict", "busy")
        return False

    until_true(lambda: again(other))
    for app in (one, other):
        assert ended(app, job_id)["status"] == "succeeded"
        success(app.test_client().get(f"/jobs/{job_id}/result"))


def test_a_key_whose_result_is_being_removed_is_to_be_sent_again(
    make_jobs_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_jobs_app().test_client()
    key, wanted = {"Idempotency-Key": "order-10"}, {"workflow": graphs.picture(), "expires": 3600}
    job_id = queue(api, key, **wanted)
    ended(api.application, job_id)
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 3601)
    response = api.post("/jobs", json=wanted, headers=key)
    failure(response, 503, "busy")
    assert int(response.headers["Retry-After"]) >= 1


def test_a_key_whose_cancelled_job_is_being_removed_is_to_be_sent_again(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    """The job stays a little longer than such a result."""
    app = make_jobs_app()
    api, key, wanted = (
        app.test_client(),
        {"Idempotency-Key": "order-11"},
        {"workflow": graphs.picture(), "expires": 1},
    )
    sim.hold()
    queue(api, workflow=graphs.picture())
    sim.wait_until_running()
    job_id = queue(api, key, **wanted)
    assert api.post(f"/jobs/{job_id}/cancel").get_json()["status"] == "cancelled"
    sim.release()
    until_true(lambda: api.get(f"/jobs/{job_id}").status_code == 404)

    def again() -> bool:
        response = api.post("/jobs", json={**wanted, "expires": 600}, headers=key)
        if response.status_code == 202:
            return True
        failure(response, 503, "busy")
        return False

    until_true(again)
    assert ended(app, job_id)["status"] == "succeeded"


def test_a_wait_does_not_end_because_the_process_has_not_heard_of_the_job_yet(
    make_jobs_app: Callable[..., Flask], sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_jobs_app()
    sim.hold()
    job_id = queue(app.test_client(), workflow=graphs.picture())
    sim.wait_until_running()
    jobs, began = jobs_of(app), time.monotonic()
    board = jobs.parts().board
    known, looks = board.entry, iter([None])
    monkeypatch.setattr(board, "entry", lambda job_id: next(looks, known(job_id)))
    assert jobs.wait(job_id, 0.3).status == "running"
    assert time.monotonic() - began >= 0.3
    sim.release()
