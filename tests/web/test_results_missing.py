"""`GET /results/ID` of prompts that have no result: unfinished, failed, unknown or lost ones."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask.testing import FlaskClient

from comfybridge.comfyui.jobs import JobList
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.web.answers import failure, success
from tests.web.queued import before, finished_by_a_stranger, kept, queued_by_a_stranger


@pytest.mark.parametrize("accept", ["application/json", "image/*", "text/event-stream"])
def test_while_unfinished_a_prompt_has_a_place_in_the_queue(api: FlaskClient, sim: Simulator, accept: str) -> None:
    sim.hold()
    running = queued_by_a_stranger(sim, graphs.picture())
    sim.wait_until_running(running)
    waiting = [queued_by_a_stranger(sim, graphs.picture()), kept(api)]
    places = {running: ("running", 0), waiting[0]: ("pending", 1), waiting[1]: ("pending", 2)}
    for prompt_id, (status, position) in places.items():
        response = api.get(f"/results/{prompt_id}", headers={"Accept": accept})
        assert response.status_code == 202
        assert response.get_json() == {"status": status, "prompt_id": prompt_id, "position": position}
        assert response.headers["X-Prompt-Id"] == prompt_id


def test_a_failed_prompt_is_answered_as_generate_answered_it(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("SaveImage", "no space left on '/home/me/ComfyUI/output/x.png'")
    answered = failure(api.post("/generate", json={"workflow": graphs.picture()}), 500, "execution_failed")
    response = api.get(f"/results/{answered['prompt_id']}")
    body = failure(response, 500, "execution_failed")
    assert {**body, "request_id": ""} == {**answered, "request_id": ""}
    assert response.headers["X-Prompt-Id"] == answered["prompt_id"]


def test_an_interrupted_prompt_is_a_conflict(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    prompt_id = kept(api)
    requests.post(f"{sim.url}/interrupt", json={"prompt_id": prompt_id}, timeout=5)
    sim.wait_until_idle()
    assert failure(api.get(f"/results/{prompt_id}"), 409, "interrupted")["prompt_id"] == prompt_id


def test_a_prompt_that_comfyui_does_not_know_is_not_found(api: FlaskClient, sim: Simulator) -> None:
    failure(api.get(f"/results/{uuid.uuid4()}"), 404, "unknown_prompt")
    answered = success(api.post("/generate", json={"workflow": graphs.picture()}))
    sim.restart()
    failure(api.get(f"/results/{answered['prompt_id']}"), 404, "unknown_prompt")


def test_a_prompt_that_finishes_during_the_look_is_no_unknown_one(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.hold()
    prompt_id = kept(api)

    def finish() -> None:
        sim.release()
        sim.wait_until_idle()

    before(monkeypatch, "find", finish, of=JobList)
    success(api.get(f"/results/{prompt_id}"))


@pytest.mark.parametrize("prompt_id", ["a/b", "a%2Fb", "..", "%2e%2e", "a" * 101, "a%0Ab", "a%00", "%C3%A9", "a%20b"])
@pytest.mark.parametrize("route", ["results", "cancel"])
def test_what_can_be_no_prompt_id_is_not_found_and_comfyui_is_not_asked(
    api: FlaskClient, sim: Simulator, route: str, prompt_id: str
) -> None:
    ask = api.get if route == "results" else api.post
    response = ask(f"/{route}/{prompt_id}")
    failure(response, 404, response.get_json()["type"])
    assert response.get_json()["type"] in ("unknown_prompt", "not_found")
    assert "X-Prompt-Id" not in response.headers
    assert not sim.requests


@pytest.mark.parametrize("prompt_id", ["mine", "a?b=c", "50%25", "a#b", "x" * 100])
def test_an_id_that_others_chose_reaches_comfyui_as_it_is(prompt_id: str) -> None:
    with Simulator(step_seconds=0, version="0.3.64") as sim:  # newer versions accept only UUIDs
        api = create_app(load_settings(comfyui_url=sim.url)).test_client()
        finished_by_a_stranger(sim, graphs.picture(), prompt_id=prompt_id)
        address = quote(prompt_id, safe="")
        assert success(api.get(f"/results/{address}"))["prompt_id"] == prompt_id


def test_images_that_went_over_a_websocket_can_t_be_fetched_again(api: FlaskClient) -> None:
    graph = graphs.picture(save="SaveImageWebsocket")
    answered = success(api.post("/generate", json={"workflow": graph}))
    body = failure(api.get(f"/results/{answered['prompt_id']}"), 500, "no_output")
    assert "node 2 (SaveImageWebsocket)" in body["error"]
    graph["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    answered = success(api.post("/generate", json={"workflow": graph}))
    body = success(api.get(f"/results/{answered['prompt_id']}"))
    assert [each["node_id"] for each in body["outputs"]] == ["3"]
    assert "node 2 (SaveImageWebsocket)" in body["warnings"][0]


def test_a_file_that_is_gone_is_an_error(api: FlaskClient, sim: Simulator) -> None:
    answered = success(api.post("/generate", json={"workflow": graphs.picture()}))
    (sim.output_directory / answered["outputs"][0]["subfolder"] / answered["outputs"][0]["filename"]).unlink()
    body = failure(api.get(f"/results/{answered['prompt_id']}"), 502, "comfyui_error")
    assert "no longer has" in body["error"]


@pytest.mark.parametrize("entry", [{}, {"prompt": []}, {"prompt": [0, "x", 3, 4, 5]}, {"prompt": None, "outputs": 1}])
def test_a_history_that_makes_no_sense_is_said_so(api: FlaskClient, sim: Simulator, entry: dict[str, Any]) -> None:
    sim.fail_route("/history", status=200, body=json.dumps({"x": entry}).encode())
    failure(api.get("/results/x"), 502, "comfyui_error")


def test_a_comfyui_that_is_not_there_is_said_so(api: FlaskClient, sim: Simulator) -> None:
    sim.stop()
    failure(api.get("/results/x"), 503, "comfyui_unreachable")
    failure(api.post("/cancel/x"), 503, "comfyui_unreachable")
    failure(api.get("/queue"), 503, "comfyui_unreachable")
