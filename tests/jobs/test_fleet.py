"""Blocking requests through a fleet are answered as directly."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.jobs.fleet_callers import Calling, admitted, bridge_of, jobs_of, runner_of
from tests.jobs.fleets import NatsServer, SmallFleet
from tests.waiting import SECONDS, until_true


@pytest.fixture
def direct(sim: Simulator, tmp_path: Path) -> FlaskClient:
    """A bridge to the same ComfyUI."""
    return create_app(load_settings(_env_file=None, comfyui_url=sim.url, state_dir=tmp_path / "direct")).test_client()


def told_of(response: TestResponse) -> dict[str, Any]:
    """What an answer says, but for what differs between any two."""
    body: dict[str, Any] = response.get_json()
    for name in ("request_id", "prompt_id"):
        body.pop(name, None)
    return body


def events_of(response: TestResponse) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in response.get_data(as_text=True).split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


# -- what it answers -------------------------------------------------------------------------------------------------


def test_a_picture_comes_through_the_fleet(api: FlaskClient, sim: Simulator, nats_server: NatsServer) -> None:
    response = api.post("/generate", json={"workflow": graphs.picture(96, 32)}, headers={"Accept": "image/png"})
    assert (response.status_code, response.mimetype) == (200, "image/png")
    assert Image.open(io.BytesIO(response.data)).size == (96, 32)
    assert response.headers["X-Prompt-Id"] in sim.history
    assert nats_server.violations == []


def test_the_json_is_that_of_a_direct_answer(api: FlaskClient, direct: FlaskClient) -> None:
    body = {"prompt": "a lighthouse", "params": {"seed": 7, "steps": 2, "width": 64, "height": 64}}
    through, directly = (told_of(client.post("/generate", json=body)) for client in (api, direct))
    for each in (through, directly):
        assert each.pop("timings")["total"] > 0
        assert len(each.pop("images")) == 1  # their metadata names the prompt's folder
        for output in each["outputs"]:
            assert output.pop("filename")
            output.pop("subfolder", None)
    assert through == directly


def test_several_files_come_as_a_zip_and_in_other_formats(api: FlaskClient) -> None:
    body = {"workflow": graphs.picture(batch=3), "output": {"format": "webp"}}
    zipped = api.post("/generate", json=body, headers={"Accept": "application/zip"})
    assert (zipped.status_code, zipped.mimetype) == (200, "application/zip")
    second = api.post("/generate?index=1", json=body, headers={"Accept": "image/webp"})
    assert Image.open(io.BytesIO(second.data)).format == "WEBP"


def test_a_large_file_is_streamed_with_its_length(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfybridge.jobs.live_files.SENT_BYTES", 0)
    monkeypatch.setattr("comfybridge.files.delivery.ROOM", 0)
    response = api.post("/generate", json={"workflow": graphs.picture(1500, 900)}, headers={"Accept": "image/*"})
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(response.data)
    assert Image.open(io.BytesIO(response.data)).size == (1500, 900)


def test_input_files_come_along(api: FlaskClient) -> None:
    picture = io.BytesIO()
    Image.effect_noise((700, 500), 90).save(picture, "PNG")
    graph = {
        "1": graphs.node("LoadImage", image="photo.png"),
        "2": graphs.node("SaveImage", images=["1", 0], filename_prefix="test"),
    }
    form = {"workflow": json.dumps(graph), "photo.png": (io.BytesIO(picture.getvalue()), "photo.png")}
    response = api.post("/generate", data=form, headers={"Accept": "image/png"})
    assert response.status_code == 200, response.get_data(as_text=True)
    assert Image.open(io.BytesIO(response.data)).size == (700, 500)


def test_events_are_told_in_order(api: FlaskClient, sim: Simulator) -> None:
    body = {"workflow": graphs.txt2img(sim.checkpoints[0], steps=4)}
    response = api.post("/generate", json=body, headers={"Accept": "text/event-stream"})
    events = events_of(response)
    names = [name for name, _ in events]
    assert (names[0], names[-1]) == ("queued", "result")
    assert {"progress", "preview"} <= set(names)
    percents = [told["percent"] for name, told in events if name == "progress"]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert events[0][1]["prompt_id"] == events[-1][1]["prompt_id"]


def test_several_prompts_run_for_one_request(api: FlaskClient, sim: Simulator) -> None:
    body = {"workflow": graphs.txt2img(sim.checkpoints[0]), "n": 3}
    answer = api.post("/generate", json=body).get_json()
    assert len(answer["images"]) == 3


@pytest.mark.parametrize(
    "body",
    [
        {"workflow": "nowhere"},
        {"params": {"stepps": 3}},
        {"params": {"steps": "many"}},
        {"workflow": {"1": graphs.node("NoSuchNode")}},
        {"workflow": {**graphs.picture(), "9": graphs.node("NoSuchNode")}},
        {"workflow": {"1": graphs.node("EmptyImage", width=-3, height=1, batch_size=1, color=0)}},
        {"workflow": {"1": graphs.node("CheckpointLoaderSimple", ckpt_name="lost.safetensors")}},
        {"workflow": graphs.txt2img("lost.safetensors")},
        {"workflow": graphs.picture(), "timeout": 0},
        {"workflow": graphs.picture(), "output": {"nodes": ["77"]}},
    ],
)
def test_errors_are_those_of_a_direct_request(api: FlaskClient, direct: FlaskClient, body: dict[str, Any]) -> None:
    through, directly = (client.post("/generate", json=body) for client in (api, direct))
    assert directly.status_code >= 400
    assert (through.status_code, told_of(through)) == (directly.status_code, told_of(directly))
    assert through.headers.get("Retry-After") == directly.headers.get("Retry-After")


def test_a_node_that_fails_is_named_as_directly(api: FlaskClient, direct: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("EmptyImage", "out of memory")
    body = {"workflow": graphs.picture()}
    through, directly = (client.post("/generate", json=body) for client in (api, direct))
    assert directly.get_json()["type"] == "execution_failed"
    assert (through.status_code, told_of(through)) == (directly.status_code, told_of(directly))


# -- how it ends early -----------------------------------------------------------------------------------------------


def test_a_prompt_whose_time_is_up_is_cancelled(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    response = api.post("/generate", json={"workflow": graphs.picture(), "timeout": 1})
    assert (response.status_code, response.get_json()["type"]) == (504, "timeout")
    assert response.get_json()["error"] == "The prompt did not finish within 1 s; it was told to stop while it ran."
    sim.release()
    sim.wait_until_idle()
    until_true(lambda: not bridge_of(api).slots.taken)
    assert api.post("/generate", json={"workflow": graphs.picture()}).status_code == 200


def test_a_caller_who_hangs_up_ends_the_prompt(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    let_in = admitted(api)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with runner_of(api).generating(let_in):
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    sim.wait_until_running()
    runner_of(api).abandon(let_in)
    thread.join(SECONDS)
    assert [getattr(each, "type", each) for each in errors] == ["interrupted"]
    until_true(lambda: any(each.path == "/interrupt" for each in sim.requests))
    sim.release()
    sim.wait_until_idle()


def test_requests_under_way_at_a_shutdown_are_told_so(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    calling = Calling(api, {"workflow": graphs.picture()})
    sim.wait_until_running()
    until_true(bridge_of(api).prompts_waited_for)
    cancelled, kept, _ = bridge_of(api).shut_down()
    assert (len(cancelled), kept) == (1, [])
    assert (calling.answer.status_code, calling.answer.get_json()["type"]) == (503, "shutting_down")
    assert calling.answer.get_json()["error"] == "The bridge is shutting down; the prompt was cancelled."
    assert api.post("/generate", json={}).get_json()["type"] == "shutting_down"


def test_another_process_can_cancel_it(api: FlaskClient, fleet: SmallFleet, sim: Simulator) -> None:
    other = fleet.bridge()
    fleet.wait_for_agents(other, 1)
    sim.hold()
    calling = Calling(api, {"workflow": graphs.picture()})
    sim.wait_until_running()
    [prompt_id] = [each["prompt_id"] for each in other.get("/queue").get_json()["running"]]
    assert other.post(f"/cancel/{prompt_id}").get_json() == {"prompt_id": prompt_id, "was": "running"}
    assert (calling.answer.status_code, calling.answer.get_json()["type"]) == (409, "interrupted")
    sim.release()


def test_no_more_requests_wait_than_the_bridge_has_slots(fleet: SmallFleet, sim: Simulator) -> None:
    api = fleet.bridge(max_concurrent=1)
    fleet.agent(sim)
    fleet.wait_for_agents(api, 1)
    sim.hold()
    first = Calling(api, {"workflow": graphs.picture()})
    sim.wait_until_running()
    refused = api.post("/generate", json={"workflow": graphs.picture()})
    assert (refused.status_code, refused.get_json()["type"]) == (503, "busy")
    sim.release()
    assert first.answer.status_code == 200


# -- where results must outlast the answer ---------------------------------------------------------------------------


def test_a_repeat_gets_the_first_prompt(api: FlaskClient, sim: Simulator) -> None:
    body, headers = {"workflow": graphs.picture()}, {"Idempotency-Key": "order 7"}
    answers = [api.post("/generate", json=body, headers=headers).get_json() for _ in range(2)]
    assert answers[0]["prompt_id"] == answers[1]["prompt_id"]
    assert answers[0]["images"] == answers[1]["images"]
    assert len(sim.history) == 1
    conflict = api.post("/generate", json={"workflow": graphs.picture()}, headers=headers)
    assert (conflict.status_code, conflict.get_json()["type"]) == (409, "idempotency_conflict")


def test_a_repeat_of_a_request_that_has_ended_waits_for_nothing(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.fleet.LOOK_SECONDS", 60.0)
    body, headers = {"workflow": graphs.picture(), "timeout": 10}, {"Idempotency-Key": "order 9"}
    first = api.post("/generate", json=body, headers=headers)
    began = time.monotonic()
    second = api.post("/generate", json=body, headers=headers)
    assert time.monotonic() - began < 5
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.get_json()["prompt_id"] == second.get_json()["prompt_id"]


@pytest.mark.parametrize("asked", [{"json": {"on_timeout": "keep"}}, {"headers": {"Idempotency-Key": "order 8"}}])
def test_a_prompt_that_is_kept_can_be_fetched_later(api: FlaskClient, sim: Simulator, asked: dict[str, Any]) -> None:
    prompt_id = _kept_past_its_time(api, sim, asked)
    sim.release()
    assert jobs_of(api).wait(prompt_id, SECONDS).status == "succeeded"
    assert len(api.get(f"/results/{prompt_id}").get_json()["images"]) == 1


def test_a_prompt_that_is_kept_can_be_cancelled_later(api: FlaskClient, sim: Simulator) -> None:
    prompt_id = _kept_past_its_time(api, sim, {"json": {"on_timeout": "keep"}})
    assert api.post(f"/cancel/{prompt_id}").get_json()["was"] == "running"
    until_true(lambda: any(each.path == "/interrupt" for each in sim.requests))
    sim.release()
    assert api.get(f"/results/{prompt_id}").status_code == 409


def _kept_past_its_time(api: FlaskClient, sim: Simulator, asked: dict[str, Any]) -> str:
    """The id of a prompt that still runs, although the time of its request is up and that of an agent would be."""
    sim.hold()
    body = {"workflow": graphs.picture(), "timeout": 0.3, **asked.get("json", {})}
    late = api.post("/generate", json=body, headers=asked.get("headers"))
    assert (late.status_code, late.get_json()["type"]) == (504, "timeout")
    prompt_id: str = late.get_json()["prompt_id"]
    sim.wait_until_running()
    assert not jobs_of(api).wait(prompt_id, 0.6).has_ended
    until_true(lambda: api.get(f"/results/{prompt_id}").get_json()["status"] == "running")
    return prompt_id


def test_links_lead_to_files_that_are_kept(api: FlaskClient) -> None:
    answer = api.post("/generate", json={"workflow": graphs.picture(80, 40), "output": {"links": True}}).get_json()
    url = answer["outputs"][0]["url"]
    response = api.get(url[url.index("/files/") :])
    assert Image.open(io.BytesIO(response.data)).size == (80, 40)


def test_the_result_of_a_blocking_request_can_be_fetched_again(api: FlaskClient) -> None:
    first = api.post("/generate", json={"workflow": graphs.picture()}).get_json()
    for path in (f"/results/{first['prompt_id']}", f"/jobs/{first['prompt_id']}/result"):
        again = api.get(path)
        assert again.status_code == 200, again.get_data(as_text=True)
        assert again.get_json()["images"] == first["images"]
    events = api.get(f"/jobs/{first['prompt_id']}/events").get_data(as_text=True)
    assert first["images"][0] in events
