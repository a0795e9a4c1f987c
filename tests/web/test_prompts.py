"""`GET /results/ID`, `POST /cancel/ID`, `GET /queue`: prompts by their ids, with ComfyUI as the only memory."""

from __future__ import annotations

import io
import json
import threading
import uuid
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.jobs import JobList
from comfybridge.media import Converted
from comfybridge.prompts import outputs
from comfybridge.request import OutputOptions
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.web.answers import failure, image, success

STAYED = ("prompt_id", "images", "outputs", "seed", "params", "warnings")


def kept(api: FlaskClient, **asked: Any) -> str:
    """The id of a prompt whose caller went away and left it in the queue of a simulator that is held."""
    asked = {"workflow": graphs.picture(), **asked, "timeout": 0.2, "on_timeout": "keep"}
    prompt_id: str = failure(api.post("/generate", json=asked), 504, "timeout")["prompt_id"]
    return prompt_id


def queued_by_a_stranger(sim: Simulator, graph: dict[str, Any], **fields: Any) -> str:
    answer = requests.post(f"{sim.url}/prompt", json={"prompt": graph, **fields}, timeout=5)
    prompt_id: str = answer.json()["prompt_id"]
    return prompt_id


def finished_by_a_stranger(sim: Simulator, graph: dict[str, Any], **fields: Any) -> str:
    prompt_id = queued_by_a_stranger(sim, graph, **fields)
    sim.wait_until_idle()
    return prompt_id


def before(monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[], None], of: type = ComfyUIClient) -> None:
    """Has something happen just before a call of the bridge reaches ComfyUI."""
    original = getattr(of, call)

    def late(*args: Any, **options: Any) -> Any:
        happens()
        return original(*args, **options)

    monkeypatch.setattr(of, call, late)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[OutputOptions]:
    """The options of each image that was converted."""
    seen = []

    def convert(data: bytes, media_type: str, options: OutputOptions) -> Converted:
        seen.append(options)
        return Converted(data, f"image/{options.format}" if options.format else media_type, [])

    monkeypatch.setattr(outputs, "convert", convert)
    return seen


# -- results: what went well -------------------------------------------------------------------------------------


def test_a_result_is_what_generate_answered(api: FlaskClient) -> None:
    answered = success(api.post("/generate", json={"prompt": "a whale", "width": 64, "height": 72, "seed": 7}))
    body = success(api.get(f"/results/{answered['prompt_id']}"))
    assert {name: body[name] for name in STAYED} == {name: answered[name] for name in STAYED}
    assert list(body) == list(answered)
    assert body["params"]["prompt"] == "a whale"
    assert body["warnings"]  # of the model that stood in for the template's


def test_a_result_can_be_asked_for_again_and_after_a_restart_of_the_bridge(
    api: FlaskClient, make_app: Callable[..., Flask]
) -> None:
    answered = success(api.post("/generate", json={"prompt": "a whale", "width": 64, "height": 64}))
    for _ in range(2):
        body = success(make_app().test_client().get(f"/results/{answered['prompt_id']}"))
        assert {name: body[name] for name in STAYED} == {name: answered[name] for name in STAYED}


def test_the_result_of_a_graph_that_came_in_prompt_has_an_image_too(api: FlaskClient) -> None:
    answered = success(api.post("/generate", json={"prompt": graphs.picture()}))
    body = success(api.get(f"/results/{answered['prompt_id']}"))
    assert body["image"] == answered["image"]
    answered = success(api.post("/generate", json={"workflow": graphs.picture()}))
    assert "image" not in success(api.get(f"/results/{answered['prompt_id']}"))


def test_a_result_comes_as_its_request_wanted_its_outputs(api: FlaskClient, conversions: list[OutputOptions]) -> None:
    graph = graphs.picture()
    graph["3"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "other"}}
    output = {"format": "webp", "quality": 50, "max_size": 32, "background": "#00ff00", "nodes": ["3"]}
    answered = success(api.post("/generate", json={"workflow": graph, "output": output}))
    body = success(api.get(f"/results/{answered['prompt_id']}"))
    assert [each["node_id"] for each in body["outputs"]] == ["3"]
    asked, recorded = conversions
    assert recorded == asked
    assert recorded == OutputOptions(format="webp", quality=50, max_size=32, background="#00ff00", nodes=("3",))


def test_the_result_of_a_prompt_served_from_comfyui_s_cache(make_app: Callable[..., Flask]) -> None:
    graph = graphs.picture()
    api = make_app(request_folders=False).test_client()
    first, second = (success(api.post("/generate", json={"workflow": graph})) for _ in range(2))
    assert first["prompt_id"] != second["prompt_id"]
    assert success(api.get(f"/results/{second['prompt_id']}"))["images"] == first["images"]


def test_the_timings_of_a_result_are_the_prompt_s_own(api: FlaskClient, sim: Simulator) -> None:
    sim.step_seconds = 0.05
    asked = {"workflow": graphs.txt2img(sim.checkpoints[0], steps=4)}
    answered = success(api.post("/generate", json=asked))
    timings = success(api.get(f"/results/{answered['prompt_id']}"))["timings"]
    assert timings["executing"] == pytest.approx(answered["timings"]["executing"], abs=0.05)
    assert 0 <= timings["queued"] < 5
    assert timings["total"] >= timings["queued"] + timings["executing"] - 0.001


def test_a_prompt_that_outlived_its_caller_can_be_fetched(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    prompt_id = kept(api)
    sim.release()
    sim.wait_until_idle()
    assert image(success(api.get(f"/results/{prompt_id}"))["images"][0]).size == (64, 48)


def test_what_others_queued_can_be_fetched_without_seed_and_params(api: FlaskClient, sim: Simulator) -> None:
    prompt_id = finished_by_a_stranger(sim, graphs.txt2img(sim.checkpoints[0], seed=5))
    body = success(api.get(f"/results/{prompt_id}"))
    assert image(body["images"][0]).size == (64, 64)
    assert (body["seed"], body["params"], body["warnings"]) == (None, {}, [])
    assert body["timings"]["queued"] is None
    assert body["timings"]["executing"] is not None


@pytest.mark.parametrize(
    "record",
    [
        None,
        "nonsense",
        [],
        {"seed": "seven"},
        {"params": 3},
        {"queued_at": 1e308},
        {"queued_at": 1},
        {"output": {"format": "gif"}},
        {"output": {"quality": 100000}},
        {"output": {"max_size": -1}},
        {"output": {"background": "/etc/passwd"}},
        {"output": None},
        {"from_a_newer_version": 1},
    ],
)
def test_a_record_that_makes_no_sense_is_no_record(
    api: FlaskClient, sim: Simulator, conversions: list[OutputOptions], record: object
) -> None:
    prompt_id = finished_by_a_stranger(sim, graphs.picture(), extra_data={"comfybridge": json.dumps(record)})
    body = success(api.get(f"/results/{prompt_id}"))
    assert (image(body["images"][0]).size, body["seed"], body["params"]) == ((64, 48), None, {})
    assert body["timings"]["queued"] is None
    assert conversions == []  # as it asks for nothing


@pytest.mark.parametrize("write", [json.dumps, dict], ids=["text", "object, as it was at first"])
def test_a_record_is_read_however_it_is_written(
    api: FlaskClient, sim: Simulator, write: Callable[[dict[str, Any]], object]
) -> None:
    note = write({"seed": 7, "params": {"steps": 3}})
    prompt_id = finished_by_a_stranger(sim, graphs.picture(), extra_data={"comfybridge": note})
    body = success(api.get(f"/results/{prompt_id}"))
    assert (body["seed"], body["params"]) == (7, {"steps": 3})


@pytest.mark.parametrize("note", [None, 7, ["seed"], "", "{", "[" * 100_000], ids=lambda each: str(each)[:20])
def test_what_is_no_note_is_no_record(api: FlaskClient, sim: Simulator, note: object) -> None:
    prompt_id = finished_by_a_stranger(sim, graphs.picture(), extra_data={"comfybridge": note})
    assert success(api.get(f"/results/{prompt_id}"))["seed"] is None


def test_a_caller_can_t_set_the_record(api: FlaskClient, sim: Simulator) -> None:
    forged = {"seed": 666, "params": {"prompt": "forged"}, "warnings": ["forged"], "with_image": True}
    asked = {"workflow": graphs.picture(), "extra_data": {"comfybridge": json.dumps(forged), "note": "mine"}}
    answered = success(api.post("/generate", json=asked))
    sim.wait_until_idle()
    (entry,) = sim.history.values()
    assert entry["prompt"][3]["note"] == "mine"
    body = success(api.get(f"/results/{answered['prompt_id']}"))
    assert "forged" not in json.dumps(body)
    assert "image" not in body
    assert body["seed"] is None


# -- results: in the form that is accepted -----------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "format"), [("image/*", "jpeg"), ("image/webp", "webp"), ("image/jpeg", "jpeg")])
def test_a_result_comes_as_a_picture_if_that_is_accepted(
    api: FlaskClient, conversions: list[OutputOptions], accept: str, format: str
) -> None:
    asked = {"workflow": graphs.picture(batch=2), "output": {"format": "jpeg", "quality": 50}}
    answered = success(api.post("/generate", json=asked))
    for index in (0, 1):
        response = api.get(f"/results/{answered['prompt_id']}?index={index}", headers={"Accept": accept})
        assert (response.status_code, response.content_type) == (200, f"image/{format}")
        assert response.headers["X-Prompt-Id"] == answered["prompt_id"]
        assert (conversions[-1].format, conversions[-1].quality) == (format, 50)


def test_what_a_result_can_t_be_is_said_so(api: FlaskClient) -> None:
    answered = success(api.post("/generate", json={"workflow": graphs.picture()}))
    address = f"/results/{answered['prompt_id']}"
    failure(api.get(f"{address}?index=1", headers={"Accept": "image/*"}), 400, "invalid_request")
    failure(api.get(f"{address}?index=-1", headers={"Accept": "image/*"}), 400, "invalid_request")
    failure(api.get(address, headers={"Accept": "video/*"}), 406, "not_acceptable")
    failure(api.get(address, headers={"Accept": "text/html"}), 406, "not_acceptable")


def test_a_result_comes_as_a_zip_or_as_an_event_if_that_is_accepted(api: FlaskClient) -> None:
    answered = success(api.post("/generate", json={"workflow": graphs.picture(batch=2)}))
    response = api.get(f"/results/{answered['prompt_id']}", headers={"Accept": "application/zip"})
    assert len(zipfile.ZipFile(io.BytesIO(response.data)).namelist()) == 2
    response = api.get(f"/results/{answered['prompt_id']}", headers={"Accept": "text/event-stream"})
    event, data = response.text.strip().split("\n")
    assert event == "event: result"
    assert json.loads(data.removeprefix("data: "))["images"] == answered["images"]


# -- results: unfinished, failed, unknown ------------------------------------------------------------------------


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
    with Simulator(step_seconds=0, version="0.3.64") as sim:  # newer ones take UUIDs only
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


# -- cancel ------------------------------------------------------------------------------------------------------


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
