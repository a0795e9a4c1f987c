"""Answers that are too large to be held: streamed, exact, and never whole where a file was not."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import EnvironBuilder, TestResponse

from comfybridge.deadline import Deadline
from comfybridge.files import delivery
from comfybridge.files.delivery import Delivery
from comfybridge.media import Converted, convert
from comfybridge.prompts import outputs
from comfybridge.request import OpenFile, OutputOptions
from comfybridge.simulator import Simulator
from comfybridge.web.answers import sending
from comfybridge.web.answers.sending import Streamed
from comfybridge.web.application import EXTENSION
from tests import graphs
from tests.waiting import SECONDS, until_true
from tests.web.answers import failure, success

ROOM = 100_000
EVERY_FORM = ["application/json", "image/*", "application/zip"]
KEYS = ["status", "prompt_id", "images", "outputs", "seed", "params", "warnings", "timings"]


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "ROOM", ROOM)
    monkeypatch.setattr(delivery, "BEGINNING", ROOM)
    monkeypatch.setattr(delivery, "AHEAD", ROOM)


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(max_concurrent=1)


@pytest.fixture
def api(app: Flask) -> FlaskClient:
    return app.test_client()


def picture(size: int) -> bytes:
    """A picture of 64 x 48, with that many bytes and no two of them alike."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "PNG")
    return buffer.getvalue() + os.urandom(size - len(buffer.getvalue()))


LARGE = picture(2_000_002)  # not a multiple of 3


@pytest.fixture
def unsized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no file say how long it is, as behind a proxy that sends chunks."""
    opened = outputs._open

    def forgetful(*arguments: Any) -> OpenFile:
        file = opened(*arguments)
        file.size = None
        return file

    monkeypatch.setattr(outputs, "_open", forgetful)


def serve(sim: Simulator, body: bytes, **options: Any) -> None:
    """Give these bytes for every file that is asked for."""
    sim.heal()
    sim.fail_route("/view", 200, body, times=None, **options)


def ask(api: FlaskClient, accept: str = "application/json", **fields: Any) -> TestResponse:
    asked = {"workflow": graphs.picture(batch=3), **fields}
    return api.post("/generate", json=asked, headers={"Accept": accept})


def is_free(app: Flask) -> bool:
    return bool(app.extensions[EXTENSION].slots.has_free)


def chunks_of(response: TestResponse) -> Iterator[bytes]:
    return iter(response.response)


def test_json_is_the_same_and_as_long_as_it_says(api: FlaskClient, sim: Simulator) -> None:
    serve(sim, LARGE)
    response = ask(api)
    assert response.headers["Content-Length"] == str(len(response.data))
    body = success(response)
    assert list(body) == KEYS
    assert [base64.b64decode(each) for each in body["images"]] == [LARGE] * 3
    for index, output in enumerate(body["outputs"]):
        assert (output["index"], output["bytes"], output["width"], output["height"]) == (index, len(LARGE), 64, 48)
    assert response.data.endswith(b"}\n")
    assert response.data.count(b"\n") == 1


def test_the_first_image_comes_once_more_and_last(api: FlaskClient, sim: Simulator) -> None:
    serve(sim, LARGE)
    response = api.post("/generate", json={"prompt": graphs.picture(batch=2)})
    assert response.headers["Content-Length"] == str(len(response.data))
    body = success(response)
    assert list(body) == [*KEYS, "image"]
    assert body["image"] == body["images"][0] == base64.b64encode(LARGE).decode()


def test_what_is_no_image_streams_in_its_place(api: FlaskClient, sim: Simulator) -> None:
    serve(sim, LARGE)
    graph = graphs.frames("SaveVideo", filename_prefix="x", format="auto", codec="auto")
    graph["7"] = graphs.node("SaveImage", images=["a", 0], filename_prefix="x")
    graph["8"] = graphs.node("PreviewAny", source="a text")
    response = api.post("/generate", json={"workflow": graph})
    assert response.headers["Content-Length"] == str(len(response.data))
    outputs = {each["kind"]: each for each in success(response)["outputs"]}
    assert base64.b64decode(outputs["video"]["data"]) == LARGE
    assert outputs["video"]["bytes"] == len(LARGE)
    assert outputs["text"]["text"] == "a text"


def test_small_and_large_files_mix(api: FlaskClient, sim: Simulator) -> None:
    small = picture(5_000)
    sim.fail_route("/view", 200, small, times=1)
    sim.fail_route("/view", 200, LARGE, times=None)
    body = success(ask(api))
    assert sorted(map(len, map(base64.b64decode, body["images"]))) == [5_000, len(LARGE), len(LARGE)]
    for output, image in zip(body["outputs"], body["images"], strict=True):
        assert output["bytes"] == len(base64.b64decode(image))


def test_one_file_streams(api: FlaskClient, sim: Simulator) -> None:
    serve(sim, LARGE)
    response = ask(api, "image/*")
    assert response.headers["Content-Length"] == str(len(LARGE))
    assert response.data == LARGE
    assert response.content_type == "image/png"


def test_a_zip_streams_and_is_as_long_as_it_says(api: FlaskClient, sim: Simulator) -> None:
    serve(sim, LARGE)
    response = ask(api, "application/zip")
    assert response.headers["Content-Length"] == str(len(response.data))
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        assert len(set(archive.namelist())) == 3
        assert [archive.read(name) for name in archive.namelist()] == [LARGE] * 3


@pytest.mark.usefixtures("unsized")
@pytest.mark.parametrize("accept", EVERY_FORM)
def test_where_comfyui_does_not_say_how_long_a_file_is_neither_does_the_bridge(
    api: FlaskClient, sim: Simulator, accept: str
) -> None:
    serve(sim, LARGE)
    response = ask(api, accept)
    assert "Content-Length" not in response.headers
    if accept == "image/*":
        assert response.data == LARGE
    elif accept == "application/zip":
        with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
            assert [archive.read(name) for name in archive.namelist()] == [LARGE] * 3
    else:
        body = success(response)
        assert [base64.b64decode(each) for each in body["images"]] == [LARGE] * 3
        assert [each["bytes"] for each in body["outputs"]] == [len(LARGE)] * 3
        assert body["outputs"][2]["width"] == 64


@pytest.mark.usefixtures("unsized")
def test_the_size_of_what_is_no_image_may_come_behind_it(api: FlaskClient, sim: Simulator) -> None:
    serve(sim, LARGE)
    graph = graphs.frames("SaveVideo", filename_prefix="x", format="auto", codec="auto")
    [output] = success(api.post("/generate", json={"workflow": graph}))["outputs"]
    assert base64.b64decode(output["data"]) == LARGE
    assert output["bytes"] == len(LARGE)


@pytest.mark.usefixtures("unsized")
def test_a_small_file_of_unknown_length_is_fetched_before_the_answer(api: FlaskClient, sim: Simulator) -> None:
    small = picture(5_000)
    serve(sim, small)
    response = ask(api)
    assert response.headers["Content-Length"] == str(len(response.data))
    assert success(response)["outputs"][2]["bytes"] == 5_000


def test_images_are_converted_one_by_one_as_there_is_room(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []

    def count(data: bytes, media_type: str, options: OutputOptions) -> Converted:
        converted.append(media_type)
        return convert(data, media_type, options)

    monkeypatch.setattr(outputs, "convert", count)
    monkeypatch.setattr(delivery, "ROOM", 1)
    response = ask(api, output={"format": "jpeg", "background": "#ff0000"})
    assert "Content-Length" not in response.headers
    assert len(converted) == 1
    body = success(response)
    assert len(converted) == 3
    assert [each["media_type"] for each in body["outputs"]] == ["image/jpeg"] * 3
    assert [each["filename"][-4:] for each in body["outputs"]] == [".jpg"] * 3
    for output, data in zip(body["outputs"], body["images"], strict=True):
        assert output["bytes"] == len(base64.b64decode(data))
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (output["width"], output["height"]) == (64, 48)


def test_a_warning_of_a_late_conversion_is_in_the_answer(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(data: bytes, media_type: str, options: OutputOptions) -> Converted:
        return Converted(data, media_type, ["Something about it."])

    monkeypatch.setattr(outputs, "convert", warn)
    monkeypatch.setattr(delivery, "ROOM", 1)
    assert success(ask(api, output={"format": "jpeg"}))["warnings"] == ["Something about it."] * 3


@pytest.mark.parametrize("accept", EVERY_FORM)
def test_a_failure_in_the_beginning_has_its_status(
    api: FlaskClient, app: Flask, sim: Simulator, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    monkeypatch.setattr(delivery, "BEGINNING", 1_500_000)
    for cut in (ROOM // 2, 1_400_000):
        serve(sim, LARGE, cut=cut)
        failure(ask(api, accept), 502, "comfyui_error")
        assert is_free(app)


@pytest.mark.parametrize("accept", EVERY_FORM)
def test_a_failure_later_cuts_the_answer_off(api: FlaskClient, app: Flask, sim: Simulator, accept: str) -> None:
    serve(sim, LARGE, cut=len(LARGE) - 10)
    response = ask(api, accept)
    assert response.status_code == 200
    assert not is_free(app)
    with pytest.raises(ConnectionResetError):
        list(chunks_of(response))
    assert is_free(app)


def test_a_result_is_cut_off_too(api: FlaskClient, sim: Simulator) -> None:
    prompt_id = success(ask(api))["prompt_id"]
    for accept in (*EVERY_FORM, "text/event-stream"):
        serve(sim, LARGE, cut=len(LARGE) - 10)
        response = api.get(f"/results/{prompt_id}", headers={"Accept": accept})
        with pytest.raises(ConnectionResetError):
            list(chunks_of(response))


@pytest.mark.parametrize("fields", [{"keepalive": 5}, {}], ids=["keepalive", "events"])
def test_what_began_before_is_cut_off_too(
    api: FlaskClient, app: Flask, sim: Simulator, fields: dict[str, Any]
) -> None:
    serve(sim, LARGE, cut=len(LARGE) - 10)
    pieces = []
    with pytest.raises(ConnectionResetError):  # noqa: PT012
        for piece in chunks_of(ask(api, "application/json" if fields else "text/event-stream", **fields)):
            pieces.append(piece)
    assert not b"".join(pieces).endswith(b"\n\n" if not fields else b"}\n")
    assert is_free(app)


def test_events_end_with_the_same_json_in_one_line(api: FlaskClient, sim: Simulator) -> None:
    serve(sim, LARGE)
    text = ask(api, "text/event-stream").text
    name, data = text.rstrip("\n").split("\n")[-2:]
    assert name == "event: result"
    body = json.loads(data.removeprefix("data: "))
    assert [base64.b64decode(each) for each in body["images"]] == [LARGE] * 3
    assert text.endswith("}\n\n")


@pytest.mark.parametrize("grown", [True, False])
def test_a_file_that_changed_meanwhile_cuts_the_answer_off(api: FlaskClient, sim: Simulator, grown: bool) -> None:
    serve(sim, LARGE)
    response = ask(api)
    serve(sim, LARGE + b"more" if grown else LARGE[:-4])
    with pytest.raises(ConnectionResetError):
        list(chunks_of(response))


@pytest.mark.parametrize("accept", [*EVERY_FORM, "text/event-stream"])
def test_the_slot_is_free_once_the_last_byte_has_gone(
    api: FlaskClient, app: Flask, sim: Simulator, accept: str
) -> None:
    serve(sim, LARGE)
    states = [is_free(app) for _ in chunks_of(ask(api, accept))]
    # the last piece of an event is the empty line after it
    assert states[-1]
    assert not any(states[:-1])


@pytest.mark.parametrize("read", [0, 2])
@pytest.mark.parametrize("accept", [*EVERY_FORM, "text/event-stream"])
def test_who_hangs_up_frees_the_slot_and_the_connections(
    api: FlaskClient, app: Flask, sim: Simulator, accept: str, read: int
) -> None:
    sim.hold()
    serve(sim, LARGE)
    if accept != "text/event-stream":
        sim.release()
    response = ask(api, accept)
    chunks = chunks_of(response)
    for _ in range(read):
        next(chunks)
    response.close()
    sim.release()
    until_true(lambda: is_free(app))
    sim.heal()
    assert success(ask(api))["status"] == "success"


@pytest.mark.parametrize("accept", EVERY_FORM)
def test_who_hangs_up_before_the_first_byte_frees_the_slot_too(app: Flask, sim: Simulator, accept: str) -> None:
    serve(sim, LARGE)
    request = EnvironBuilder(
        "/generate", method="POST", json={"workflow": graphs.picture()}, headers={"Accept": accept}
    )
    body: Any = app.wsgi_app(request.get_environ(), lambda *_: print)
    assert not is_free(app)
    body.close()
    assert is_free(app)


def test_files_from_a_slow_comfyui_are_opened_at_once(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, count, four = outputs._open, itertools.count(), threading.Barrier(4)

    def together(*arguments: Any) -> OpenFile:
        if 1 <= next(count) <= 4:  # the first is opened alone, and then four at a time
            four.wait(SECONDS)
        return opened(*arguments)

    monkeypatch.setattr(outputs, "_open", together)
    monkeypatch.setattr(delivery, "SLOW_SECONDS", 0)  # no ComfyUI is quick enough
    body = success(api.post("/generate", json={"workflow": graphs.picture(batch=9)}))
    assert len(body["images"]) == 9


def test_a_file_slower_than_the_deadline_is_a_timeout(api: FlaskClient, app: Flask, sim: Simulator) -> None:
    sim.fail_route("/view", times=None, delay=0.8)
    failure(ask(api, timeout=0.5), 504, "timeout")
    assert is_free(app)
    requests.get(f"{sim.url}/view", timeout=5)  # until the simulator has finished the other one


def test_the_time_that_the_caller_takes_is_not_comfyui_s(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    generation: Any = SimpleNamespace(deadline=Deadline(5), prompt_id="")
    body = Streamed((each for each in (b"a", b"b", b"c")), 3, Delivery([]), generation)
    for _ in sending.sent(body, body.close):
        clock[0] += 100
    assert generation.deadline.seconds == 205  # after the last chunk there is nothing left to fetch
