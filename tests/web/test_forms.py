"""The forms of an answer, by `Accept`: one file's bytes, a zip, events, and JSON that keeps a proxy awake."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from comfybridge.web.answers import streaming
from tests import graphs
from tests.web.answers import failure, success


def ask(api: FlaskClient, accept: str, body: dict[str, Any], query: str = "") -> TestResponse:
    return api.post(f"/generate{query}", json=body, headers={"Accept": accept})


def read_events(response: TestResponse) -> list[tuple[str, Any]]:
    """The events of a whole stream; comments left out."""
    found = []
    for block in response.get_data(as_text=True).split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*", "text/html, */*;q=0.1", ""])
def test_json_is_the_default(api: FlaskClient, accept: str) -> None:
    assert success(ask(api, accept, {"workflow": graphs.picture()}))["images"]


@pytest.mark.parametrize("accept", ["image/*", "image/png", "IMAGE/PNG;q=0.9, */*;q=0.1"])
def test_an_image_comes_as_its_bytes(api: FlaskClient, sim: Simulator, accept: str) -> None:
    response = ask(api, accept, {"workflow": graphs.txt2img(sim.checkpoints[0], seed=7)})
    assert response.status_code == 200
    assert response.content_type == "image/png"
    assert response.headers["X-Seed"] == "7"
    sim.wait_until_idle()
    assert response.headers["X-Prompt-Id"] in sim.history
    assert response.headers["Content-Disposition"].startswith('inline; filename="test_0000')
    assert int(response.headers["Content-Length"]) == len(response.data)
    assert Image.open(io.BytesIO(response.data)).size == (64, 64)


def test_another_image_can_be_named_by_its_index(api: FlaskClient) -> None:
    asked = {"workflow": "txt2img", "prompt": "x", "batch_size": 2, "seed": 1, "width": 64, "height": 64}
    all_images = success(api.post("/generate", json=asked))["images"]
    response = ask(api, "image/*", asked, "?index=1")
    pixels = [Image.open(io.BytesIO(base64.b64decode(each))).tobytes() for each in all_images]
    assert Image.open(io.BytesIO(response.data)).tobytes() == pixels[1] != pixels[0]
    body = failure(ask(api, "image/*", asked, "?index=2"), 400, "invalid_request")
    assert "2 of kind image" in body["error"]
    assert body["prompt_id"]


@pytest.mark.parametrize("index", ["-1", "x", "1.5", "", "9" * 30])
def test_an_index_that_is_no_number_is_refused_before_anything_runs(
    api: FlaskClient, sim: Simulator, index: str
) -> None:
    failure(ask(api, "image/*", {"prompt": "x"}, f"?index={index}"), 400, "invalid_request")
    assert sim.requests == []


@pytest.mark.parametrize("accept", ["text/html", "application/pdf, text/plain", "image/*;q=0"])
def test_a_form_that_there_is_not_is_a_406_before_anything_runs(
    api: FlaskClient, sim: Simulator, accept: str
) -> None:
    body = failure(ask(api, accept, {"prompt": "x"}), 406, "not_acceptable")
    assert "text/event-stream" in body["error"]
    assert sim.requests == []


def test_a_workflow_without_an_image_cannot_be_answered_with_one(api: FlaskClient) -> None:
    graph = {"1": {"class_type": "PreviewAny", "inputs": {"source": "hello"}}}
    body = failure(ask(api, "image/*", {"workflow": graph}), 406, "not_acceptable")
    assert "no image, but text" in body["error"]


def test_a_file_name_of_any_letters_makes_a_header_that_holds(api: FlaskClient) -> None:
    asked = {"workflow": graphs.picture(), "params": {"2.filename_prefix": 'ein Bild "ü'}}
    disposition = ask(api, "image/*", asked).headers["Content-Disposition"]
    assert disposition.startswith('inline; filename="ein Bild __')
    assert "filename*=UTF-8''ein%20Bild%20_%C3%BC_0000" in disposition


def test_a_zip_holds_all_files_and_texts_under_names_of_their_own(api: FlaskClient) -> None:
    graph = graphs.picture(batch=2)
    graph["3"] = {"class_type": "PreviewAny", "inputs": {"source": "hello"}}
    graph["4"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
    response = ask(api, "application/zip", {"workflow": graph})
    assert response.content_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names)) == 5
        assert archive.read("text_3.txt") == b"hello"
        assert sum(name.endswith(".png") for name in names) == 4


def test_events_tell_of_the_queue_the_progress_and_the_result(api: FlaskClient, sim: Simulator) -> None:
    response = ask(api, "text/event-stream", {"workflow": graphs.txt2img(sim.checkpoints[0], steps=4)})
    assert response.content_type.startswith("text/event-stream")
    events = read_events(response)
    assert events[0][0] == "queued"
    assert events[0][1]["prompt_id"] == response.headers["X-Prompt-Id"]
    progress = [data for name, data in events if name == "progress"]
    assert [each["value"] for each in progress if each["class_type"] == "KSampler"] == [0, 1, 2, 3, 4]
    assert {"percent", "node_id", "class_type", "value", "max", "nodes_done", "nodes_total"} == set(progress[0])
    percents = [each["percent"] for each in progress]
    assert percents == sorted(percents)
    assert 0 <= percents[0] < percents[-1] <= 100
    (preview,) = {data["media_type"] for name, data in events if name == "preview"}
    assert preview == "image/jpeg"
    name, result = events[-1]
    assert name == "result"
    assert result["images"]


def test_the_place_in_the_queue_is_told(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    answers: list[TestResponse] = []
    callers = []
    for number in range(2):
        asked = {"json": {"workflow": graphs.picture()}, "headers": {"Accept": "text/event-stream"}}
        callers.append(threading.Thread(target=lambda given=asked: answers.append(api.post("/generate", **given))))
        callers[-1].start()
        sim.wait_until_queued(number + 1)
    sim.wait_until_running()
    third = api.post("/generate", json={"workflow": graphs.picture()}, headers={"Accept": "text/event-stream"})
    stream = third.iter_encoded()
    first = next(iter(stream)).decode()
    assert '"position": 2' in first
    sim.release()
    assert b"event: result" in b"".join(stream)
    for caller in callers:
        caller.join()


def test_an_error_while_the_prompt_runs_is_an_event(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("SaveImage", "disk full")
    name, data = read_events(ask(api, "text/event-stream", {"workflow": graphs.picture()}))[-1]
    assert name == "error"
    assert (data["status"], data["type"]) == ("error", "execution_failed")
    assert data["request_id"]


def test_what_is_wrong_before_the_prompt_is_queued_has_its_own_status(api: FlaskClient) -> None:
    failure(ask(api, "text/event-stream", {"prompt": "x", "steps": 0}), 400, "invalid_request")
    failure(ask(api, "application/json", {"prompt": "x", "steps": 0, "keepalive": 1}), 400, "invalid_request")


def test_an_idle_stream_is_kept_open_by_comments(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    sim.hold()
    stream = ask(api, "text/event-stream", {"workflow": graphs.picture()}).iter_encoded()
    pieces = iter(stream)
    while not next(pieces).startswith(b":"):
        pass
    sim.release()
    assert b"event: result" in b"".join(pieces)


def test_a_slow_answer_is_kept_alive_by_spaces_before_its_json(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    response = api.post("/generate", json={"workflow": graphs.picture(), "keepalive": 0.1})
    pieces: Iterator[bytes] = iter(response.iter_encoded())
    assert next(pieces) == next(pieces) == b" "
    sim.release()
    body = json.loads(b"".join(pieces))
    assert (response.status_code, body["status"]) == (200, "success")
    assert body["images"]


def test_an_error_of_a_kept_alive_answer_is_in_its_body(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(keepalive=5).test_client()
    sim.fail_node("SaveImage", "disk full")
    response = api.post("/generate", json={"workflow": graphs.picture()})
    body = json.loads(response.data)
    assert (response.status_code, body["status"], body["type"]) == (200, "error", "execution_failed")


def test_a_stream_gives_its_slot_back(make_app: Callable[..., Flask]) -> None:
    api = make_app(max_concurrent=1).test_client()
    for _ in range(3):
        assert read_events(ask(api, "text/event-stream", {"workflow": graphs.picture()}))[-1][0] == "result"
