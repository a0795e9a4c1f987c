"""`GET /results/ID`: the answer of a finished prompt, with ComfyUI as the only memory."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.media import Converted
from comfybridge.prompts import known, outputs
from comfybridge.request import OutputOptions
from comfybridge.simulator import Simulator
from comfybridge.simulator.prompt_queue import Entry, PromptQueue
from tests import graphs
from tests.web.answers import failure, image, success
from tests.web.queued import finished_by_a_stranger, kept

STAYED = ("prompt_id", "images", "outputs", "seed", "params", "warnings")


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
    assert body["warnings"]  # about the model that replaced the template's


def test_what_was_answered_is_never_said_to_run(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI tells the end before it writes its history."""
    finish, place = PromptQueue.finish, known._place
    has_looked = threading.Event()

    def finish_late(queue: PromptQueue, entry: Entry) -> None:
        assert has_looked.wait(20)
        finish(queue, entry)

    def look(*given: Any) -> known.Unfinished | None:
        found = place(*given)
        has_looked.set()
        return found

    monkeypatch.setattr(PromptQueue, "finish", finish_late)
    monkeypatch.setattr(known, "_place", look)
    monkeypatch.setattr(known, "WRITING_SECONDS", 20)
    made = success(api.post("/generate", json={"workflow": graphs.picture()}))
    assert success(api.get(f"/results/{made['prompt_id']}"))["images"] == made["images"]


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


def test_of_equal_nodes_each_has_its_own_output(api: FlaskClient) -> None:
    """ComfyUI runs one of them, and gives that one's meta data to all."""
    graph = graphs.picture(save="PreviewImage")
    [(first, saving)] = [(each, node) for each, node in graph.items() if node["class_type"] == "PreviewImage"]
    graph = {"twin": saving, **graph, "third": saving}
    made = success(api.post("/generate", json={"workflow": graph}))
    assert [each["node_id"] for each in made["outputs"]] == ["twin", first, "third"]
    assert success(api.get(f"/results/{made['prompt_id']}"))["outputs"] == made["outputs"]


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
    assert conversions == []  # because it requests no format


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
