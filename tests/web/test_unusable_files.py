"""One output file that is gone or broken keeps nothing else back: it is left out, with a warning."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from flask.testing import FlaskClient

from comfybridge.files import delivery
from comfybridge.simulator import Simulator
from comfybridge.simulator.routes_files import FileRoutes
from tests import graphs
from tests.graphs import node
from tests.web.answers import failure, image, success

NAMES = ["a", "b", "c"]
Spoil = Callable[..., None]


def three() -> dict[str, Any]:
    """A graph of three pictures, each a saver's own."""
    graph = graphs.picture()
    for number, name in enumerate(NAMES):
        graph[f"1{number}"] = node("SaveImage", images=["1", 0], filename_prefix=name)
    del graph["2"]
    return graph


@pytest.fixture(autouse=True)  # so that it is there before the simulator
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Has `/view` treat files as gone, or give garbage for them, by the letters that they begin with."""
    gone: set[str] = set()
    garbage: set[str] = set()
    view = FileRoutes.view

    async def spoiled(self: FileRoutes, request: web.Request) -> web.StreamResponse:
        letter = request.query.get("filename", "-")[0]
        if letter in gone:
            return web.Response(status=404)
        if letter in garbage:
            return web.Response(body=b"half a file")
        return await view(self, request)

    monkeypatch.setattr(FileRoutes, "view", spoiled)

    def add(letters: str, how: str) -> None:
        (gone if how == "gone" else garbage).update(letters)

    return add


WAYS = pytest.mark.parametrize("how", ["gone", "garbage"])
LEFT_OUT = "; it is left out."


def warned(warnings: list[str], letters: str) -> bool:
    """Whether there is a warning for each of these files, and no other."""
    return len(warnings) == len(letters) and all(each.endswith(LEFT_OUT) for each in warnings)


@WAYS
@pytest.mark.parametrize("bad", ["a", "b", "c", "ab", "ac"])
@pytest.mark.parametrize("options", [{}, {"format": "webp"}, {"metadata": "strip"}])
def test_json_has_the_others(api: FlaskClient, spoil: Spoil, bad: str, how: str, options: dict[str, str]) -> None:
    spoil(bad, how)

    body = success(api.post("/generate", json={"workflow": three(), "output": options}))

    good = [name for name in NAMES if name not in bad]
    assert [each["filename"][0] for each in body["outputs"]] == good
    assert [each["index"] for each in body["outputs"]] == list(range(len(good)))
    assert [image(each).size for each in body["images"]] == [(64, 48)] * len(good)
    assert warned(body["warnings"], bad)


@WAYS
def test_the_first_image_is_the_first_that_is_there(api: FlaskClient, spoil: Spoil, how: str) -> None:
    spoil("a", how)

    body = success(api.post("/generate", json={"prompt": three()}))

    assert body["image"] == body["images"][0]


@WAYS
@pytest.mark.parametrize("bad", ["a", "c", "ab"])
def test_a_zip_has_the_others(api: FlaskClient, spoil: Spoil, bad: str, how: str) -> None:
    spoil(bad, how)

    response = api.post("/generate", json={"workflow": three()}, headers={"Accept": "application/zip"})

    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        assert archive.testzip() is None
        assert [each[0] for each in archive.namelist()] == [name for name in NAMES if name not in bad]
    assert warned(json.loads(response.headers["X-Warnings"]), bad)


@WAYS
@pytest.mark.parametrize("bad", ["a", "ab"])
@pytest.mark.parametrize("accept", ["image/*", "image/webp"])
def test_bytes_are_those_of_the_first_that_is_there(
    api: FlaskClient, spoil: Spoil, bad: str, how: str, accept: str
) -> None:
    spoil(bad, how)

    response = api.post("/generate", json={"workflow": three()}, headers={"Accept": accept})

    assert response.status_code == 200
    assert image(base64.b64encode(response.data).decode()).size == (64, 48)
    assert NAMES[len(bad)] + "_00001_" in response.headers["Content-Disposition"]
    assert warned(json.loads(response.headers["X-Warnings"]), bad)


@WAYS
def test_one_that_is_asked_for_by_its_index_is_not_another(api: FlaskClient, spoil: Spoil, how: str) -> None:
    spoil("b", how)

    response = api.post("/generate?index=1", json={"workflow": three()}, headers={"Accept": "image/*"})

    failure(response, 502, "comfyui_error")


@WAYS
@pytest.mark.parametrize("accept", ["application/json", "application/zip", "image/*"])
def test_nothing_but_unusable_files_is_an_error(api: FlaskClient, spoil: Spoil, how: str, accept: str) -> None:
    spoil("abc", how)

    failure(api.post("/generate", json={"workflow": three()}, headers={"Accept": accept}), 502, "comfyui_error")


def test_a_text_is_something_left(api: FlaskClient, spoil: Spoil) -> None:
    spoil("abc", "gone")
    graph = {**three(), "20": node("PreviewAny", source="a cat")}

    body = success(api.post("/generate", json={"workflow": graph}))

    assert [each["text"] for each in body["outputs"]] == ["a cat"]
    assert body["images"] == []
    assert warned(body["warnings"], "abc")


def test_a_stream_of_events_ends_in_the_others(api: FlaskClient, spoil: Spoil) -> None:
    spoil("a", "gone")

    response = api.post("/generate", json={"workflow": three()}, headers={"Accept": "text/event-stream"})

    *_, last = response.text.strip().split("\n\n")
    assert last.startswith("event: result\n")
    assert len(json.loads(last.partition("data: ")[2])["images"]) == 2


def test_a_comfyui_that_fails_is_still_an_error(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/view", 500)

    failure(api.post("/generate", json={"workflow": three()}), 502, "comfyui_error")


@WAYS
@pytest.mark.parametrize("bad", ["a", "b", "c"])
@pytest.mark.parametrize("accept", ["application/json", "application/zip"])
def test_an_answer_that_is_streamed_leaves_it_out_before_it_begins(
    api: FlaskClient, spoil: Spoil, monkeypatch: pytest.MonkeyPatch, bad: str, how: str, accept: str
) -> None:
    monkeypatch.setattr(delivery, "ROOM", 100)
    monkeypatch.setattr(delivery, "BEGINNING", 100)
    spoil(bad, how)

    response = api.post("/generate", json={"workflow": three()}, headers={"Accept": accept})

    assert response.status_code == 200
    assert len(response.data) == response.content_length
    if accept == "application/json":
        body = success(response)
        assert [image(each).size for each in body["images"]] == [(64, 48)] * 2
        assert warned(body["warnings"], bad)
    else:
        with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
            assert [each[0] for each in archive.namelist()] == [name for name in NAMES if name not in bad]
        assert warned(json.loads(response.headers["X-Warnings"]), bad)
