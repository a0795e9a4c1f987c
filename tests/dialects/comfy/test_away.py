"""Polls of a job while the engine or ComfyUI is away: they are answered with what is known."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.engine.engine import KEPT
from comfybridge.engine.messages import Message
from comfybridge.jobs import jobs
from comfybridge.simulator import Simulator
from tests import graphs
from tests.engine.servers import Server
from tests.waiting import until_true
from tests.web.jobs import ended, jobs_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "nats"
    folder.mkdir()
    server = Server(folder)
    yield server
    server.kill()


def submitted(api: FlaskClient, graph: dict[str, Any] | None = None) -> str:
    answer = api.post("/api/v2/jobs", json={"workflow": graph or graphs.picture()})
    assert answer.status_code == 201, answer.text
    job_id: str = answer.get_json()["id"]
    return job_id


def polled(api: FlaskClient, job_id: str) -> dict[str, Any]:
    answer = api.get(f"/api/v2/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    native = api.get(f"/jobs/{job_id}")
    assert native.status_code == 200, native.text
    body: dict[str, Any] = answer.get_json()
    return body


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_that_is_away_fails_no_poll(
    make_jobs_app: Callable[..., Flask],
    server: Server,
    sim: Simulator,
    how: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "AWAY_SECONDS", 0.5)
    app = make_jobs_app(engine=server.url)
    api = app.test_client()
    done = submitted(api)
    ended(app, done)
    sim.hold()
    running, waiting = submitted(api), submitted(api)
    until_true(lambda: polled(api, running)["status"] == "running")

    server.signal(how)

    began = time.monotonic()
    assert polled(api, running)["status"] == "running"
    assert polled(api, waiting)["status"] == "queued"
    told = polled(api, done)
    assert (told["status"], len(told["outputs"])) == ("succeeded", 1)
    unknown = api.get("/api/v2/jobs/unknown")
    assert (unknown.status_code, unknown.get_json()["error"]["code"]) == (503, "upstream_unreachable")
    assert int(unknown.headers["Retry-After"]) >= 1
    assert time.monotonic() - began < 30  # some 7 on a quiet machine

    if how == signal.SIGKILL:
        server.start()
    else:
        server.signal(signal.SIGCONT)
    sim.release()
    for job_id in (running, waiting):
        assert ended(app, job_id)["status"] == "succeeded"
    assert api.get("/api/v2/jobs/unknown").status_code == 404


def test_a_question_that_only_the_engine_can_answer_is_held_while_it_restarts(
    make_jobs_app: Callable[..., Flask], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AWAY_SECONDS", 60.0)
    app = make_jobs_app(engine=server.url)
    api = app.test_client()
    ended(app, submitted(api))
    server.kill()
    until_true(lambda: not jobs_of(app).parts().engine.is_connected)
    starting = threading.Timer(0.5, server.start)
    starting.start()
    assert api.get("/api/v2/jobs/unknown").status_code == 404
    starting.join()


@pytest.mark.parametrize("held_back", [".result.", "."], ids=["its result", "all of it"])
def test_a_job_that_another_process_clears_away_is_never_unknown(
    make_jobs_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, held_back: str
) -> None:
    """A process hears late of a job, or of its result, which is in another stream."""
    one, other = make_jobs_app(), make_jobs_app()
    ended(other, submitted(one.test_client()))
    board = jobs_of(other).parts().board
    hear, late = board.hear, list[Message]()

    def hear_late(message: Message) -> None:
        if held_back in message.subject:
            late.append(message)
        else:
            hear(message)

    monkeypatch.setattr(board, "hear", hear_late)
    job_id = submitted(one.test_client())
    ended(one, job_id)
    engine = jobs_of(one).parts().engine
    until_true(lambda: any(".result." in each.subject for each in late))
    until_true(lambda: engine.get(KEPT, f"comfybridge.kept.job.{job_id}") is None)
    coming = threading.Timer(0.2, lambda: [hear(each) for each in late])
    coming.start()
    assert polled(other.test_client(), job_id)["status"] == "succeeded"
    coming.join()


def test_a_comfyui_that_is_away_fails_no_poll(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    done = submitted(api)
    ended(jobs_app, done)
    sim.hold()
    running, waiting = submitted(api), submitted(api)
    until_true(lambda: polled(api, running)["status"] == "running")
    sim.wait_until_running(running)
    sim.kill()
    assert polled(api, running)["status"] == "running"
    assert polled(api, waiting)["status"] == "queued"
    assert polled(api, done)["status"] == "succeeded"
    sim.revive()
    sim.release()
    for job_id in (running, waiting):
        assert ended(jobs_app, job_id)["status"] == "succeeded"


@pytest.mark.parametrize(("attempts", "status"), [(1, "failed"), (3, "succeeded")])
def test_a_prompt_that_comfyui_lost_fails_or_runs_again(
    make_jobs_app: Callable[..., Flask], sim: Simulator, attempts: int, status: str
) -> None:
    app = make_jobs_app(job_attempts=attempts)
    api = app.test_client()
    sim.hold()
    job_id = submitted(api)
    sim.wait_until_running(job_id)
    sim.restart()
    sim.release()
    ended(app, job_id)
    told = polled(api, job_id)
    assert told["status"] == status
    if status == "failed":
        assert told["error"]["code"] == "prompt_lost"
        assert told["completed_at"]
        assert told["outputs"] == []
    else:
        assert told["error"] is None
        assert len(told["outputs"]) == 1


def test_a_job_that_begins_anew_does_not_show_how_far_it_was(
    jobs_app: Flask, api: FlaskClient, sim: Simulator
) -> None:
    sim.hold_steps(after=2)
    job_id = submitted(api, graphs.txt2img(sim.checkpoints[0], steps=4))
    until_true(lambda: (told := polled(api, job_id)["progress"]) and told.get("step") == 2)
    sim.kill()
    until_true(lambda: polled(api, job_id)["status"] == "queued")
    sim.release()
    sim.hold()
    sim.revive()
    until_true(lambda: polled(api, job_id)["status"] == "running")
    assert polled(api, job_id)["progress"] is None
    sim.release()
    assert ended(jobs_app, job_id)["status"] == "succeeded"


def test_a_comfyui_that_went_away_and_stays_away_has_lost_its_prompt(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    """Its address is nobody's business."""
    app = make_jobs_app(job_attempts=1)
    api = app.test_client()
    sim.hold()
    job_id = submitted(api)
    sim.wait_until_running(job_id)
    sim.kill()
    ended(app, job_id)
    error = polled(api, job_id)["error"]
    assert error["code"] == "prompt_lost"
    assert error["message"].startswith("ComfyUI refuses the connection")


def test_an_engine_that_is_not_there_at_the_start_is_said_without_its_address(
    make_jobs_app: Callable[..., Flask], server: Server
) -> None:
    api = make_jobs_app(engine=server.url).test_client()
    server.kill()
    refused = api.get("/api/v2/jobs/unknown")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "upstream_unreachable")
    assert refused.get_json()["error"]["message"].startswith("The engine does not answer")
