"""`POST /cancel/ID`, and the `GET /queue` that shows what can be cancelled."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.web.answers import failure, success
from tests.web.queued import before, kept, queued_by_a_stranger


def test_a_waiting_prompt_is_taken_out_of_the_queue(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    other = queued_by_a_stranger(sim, graphs.picture())
    sim.wait_until_running(other)
    prompt_id = kept(api)
    response = api.post(f"/cancel/{prompt_id}")
    assert response.status_code == 200
    assert response.get_json() == {"prompt_id": prompt_id, "was": "pending"}
    assert response.headers["X-Prompt-Id"] == prompt_id
    assert (sim.running, sim.pending) == ([other], [])
    failure(api.get(f"/results/{prompt_id}"), 404, "unknown_prompt")


def test_a_running_prompt_is_stopped_from_another_process_and_no_other_is(
    api: FlaskClient, make_app: Callable[..., Flask], sim: Simulator
) -> None:
    sim.hold()
    prompt_id = kept(api)
    other = queued_by_a_stranger(sim, graphs.picture())
    response = make_app().test_client().post(f"/cancel/{prompt_id}")
    assert response.get_json() == {"prompt_id": prompt_id, "was": "running"}
    sim.wait_until_running(other)
    failure(api.get(f"/results/{prompt_id}"), 409, "interrupted")


def test_who_waits_for_a_cancelled_prompt_is_told(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    answers = []
    asked = {"workflow": graphs.picture()}
    caller = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked)))
    caller.start()
    sim.wait_until_running()
    assert api.post(f"/cancel/{sim.running[0]}").get_json()["was"] == "running"
    caller.join(10)
    failure(answers[0], 409, "interrupted")


def test_who_waits_for_a_prompt_that_is_taken_out_is_told_and_it_is_not_queued_again(
    api: FlaskClient, sim: Simulator, impatient: None
) -> None:
    sim.hold()
    other = queued_by_a_stranger(sim, graphs.picture())
    sim.wait_until_running(other)
    answers = []
    asked = {"workflow": graphs.picture(), "retries": 3}
    caller = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked)))
    caller.start()
    sim.wait_until_pending(1)
    (prompt_id,) = sim.pending
    assert api.post(f"/cancel/{prompt_id}").get_json()["was"] == "pending"
    caller.join(10)
    assert failure(answers[0], 409, "interrupted")["prompt_id"] == prompt_id
    assert sim.pending == []


def test_a_prompt_whose_turn_comes_while_it_is_deleted_is_stopped(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.hold()
    first, prompt_id = queued_by_a_stranger(sim, graphs.picture()), kept(api)

    def begin() -> None:
        requests.post(f"{sim.url}/interrupt", json={"prompt_id": first}, timeout=5)
        sim.wait_until_running(prompt_id)

    before(monkeypatch, "delete_pending", begin)
    assert api.post(f"/cancel/{prompt_id}").get_json()["was"] == "running"
    sim.wait_until_idle()
    failure(api.get(f"/results/{prompt_id}"), 409, "interrupted")


def test_a_prompt_that_finishes_while_it_is_deleted_was_not_cancelled(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.hold()
    queued_by_a_stranger(sim, graphs.picture())
    prompt_id = kept(api)

    def finish() -> None:
        sim.release()
        sim.wait_until_idle()

    before(monkeypatch, "delete_pending", finish)
    assert "finished" in failure(api.post(f"/cancel/{prompt_id}"), 404, "unknown_prompt")["error"]
    success(api.get(f"/results/{prompt_id}"))


def test_there_is_nothing_to_cancel_of_a_finished_or_unknown_prompt(api: FlaskClient, sim: Simulator) -> None:
    answered = success(api.post("/generate", json={"workflow": graphs.picture()}))
    body = failure(api.post(f"/cancel/{answered['prompt_id']}"), 404, "unknown_prompt")
    assert "finished" in body["error"]
    assert body["prompt_id"] == answered["prompt_id"]
    failure(api.post(f"/cancel/{uuid.uuid4()}"), 404, "unknown_prompt")
    assert not [
        each for each in sim.requests if each.path.endswith(("/interrupt", "/queue")) and each.method == "POST"
    ]


def test_an_older_comfyui_is_never_sent_an_interrupt() -> None:
    with Simulator(step_seconds=0, version="0.3.50") as sim:
        api = create_app(load_settings(comfyui_url=sim.url)).test_client()
        sim.hold()
        prompt_id, waiting = kept(api), kept(api)
        body = failure(api.post(f"/cancel/{prompt_id}"), 502, "comfyui_error")
        assert "0.3.50" in body["error"]
        assert body["prompt_id"] == prompt_id
        assert not [each for each in sim.requests if each.path.endswith("/interrupt")]
        assert api.post(f"/cancel/{waiting}").get_json()["was"] == "pending"


def test_cancelling_needs_a_post(api: FlaskClient) -> None:
    failure(api.get("/cancel/x"), 405, "method_not_allowed")


# -- the queue ---------------------------------------------------------------------------------------------------


def test_the_queue_tells_ids_and_places_and_no_graphs(sim: Simulator) -> None:
    with_password = sim.url.replace("http://", "http://me:secret@")
    api = create_app(load_settings(comfyui_url=with_password)).test_client()
    assert api.get("/queue").get_json() == {"running": [], "pending": []}
    sim.hold()
    running = queued_by_a_stranger(sim, graphs.picture())
    sim.wait_until_running(running)
    last, mine = queued_by_a_stranger(sim, graphs.picture()), kept(api, front=True)
    ties = sorted(queued_by_a_stranger(sim, graphs.picture(), number=9) for _ in range(5))
    response = api.get("/queue")
    order = [mine, last, *ties]
    assert response.get_json() == {
        "running": [{"prompt_id": running, "server": sim.url}],
        "pending": [{"prompt_id": each, "position": place, "server": sim.url} for place, each in enumerate(order, 1)],
    }
    assert order == sim.pending
    assert "secret" not in response.text
