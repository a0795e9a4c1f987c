"""Each kind of thing that ComfyUI's nodes make comes through the bridge byte for byte, and named for what it is."""

from __future__ import annotations

import base64
import io
import itertools
import json
import wave
import zipfile
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from tests import graphs
from tests.graphs import node
from tests.web.answers import failure, success

TEXT = " one\n  two \U0001f431 \n"
GLB = b"glTF\x02\x00\x00\x00 not much of a model"
# `images` and `model_file` must name these; the sound is uploaded with the request, the model is already there.
SOUND, MODEL = "a sound.wav", "a mesh/a model.glb"


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(range(256)) * 4)
    return buffer.getvalue()


WAV = wav()


def heard(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"1": node("LoadAudio", audio=SOUND), "2": node(class_type, audio=["1", 0], **inputs)}


@dataclass(frozen=True)
class Case:
    """A node that makes a file, and what the bridge must say of it."""

    kind: str
    media_type: str
    ending: str
    inputs: dict[str, Any]
    type: str = "output"

    def graph(self, class_type: str) -> dict[str, Any]:
        if class_type == "Preview3D":
            return {"2": node(class_type, **self.inputs)}
        if class_type == "SaveLatent":
            latent = node("EmptyLatentImage", width=64, height=64, batch_size=1)
            return {"1": latent, "2": node(class_type, samples=["1", 0], **self.inputs)}
        if self.kind == "audio":
            return heard(class_type, **self.inputs)
        return graphs.frames(class_type, **self.inputs)


X = {"filename_prefix": "x"}
WEBP = {**X, "fps": 8.0, "lossless": True, "quality": 80, "method": "fastest"}
CASES = {
    "SaveAnimatedWEBP": Case("image", "image/webp", ".webp", WEBP),
    "SaveAnimatedPNG": Case("image", "image/png", ".png", {**X, "fps": 8.0, "compress_level": 4}),
    "SaveVideo": Case("video", "video/mp4", ".mp4", {**X, "format": "auto", "codec": "auto"}),
    "SaveWEBM": Case("video", "video/webm", ".webm", {**X, "codec": "vp9", "fps": 8.0, "crf": 32.0}),
    "SaveAudio": Case("audio", "audio/flac", ".flac", X),
    "SaveAudioMP3": Case("audio", "audio/mpeg", ".mp3", {**X, "quality": "V0"}),
    "PreviewAudio": Case("audio", "audio/flac", ".flac", {}, type="temp"),
    "Preview3D": Case("3d", "model/gltf-binary", ".glb", {"model_file": MODEL}),
    "SaveLatent": Case("file", "application/octet-stream", ".latent", X),
}
STILLS = {
    "SaveImage": Case("image", "image/png", ".png", X),
    "PreviewImage": Case("image", "image/png", ".png", {}, type="temp"),
}
EVERY = {**CASES, **STILLS}


@pytest.fixture(autouse=True)
def model(sim: Simulator) -> None:
    path = sim.output_directory / MODEL
    path.parent.mkdir()
    path.write_bytes(GLB)


def ask(api: FlaskClient, class_type: str, accept: str = "application/json", **fields: Any) -> TestResponse:
    asked: dict[str, Any] = {"workflow": EVERY[class_type].graph(class_type), **fields}
    if EVERY[class_type].kind == "audio":
        asked["images"] = {SOUND: base64.b64encode(WAV).decode()}
    return api.post("/generate", json=asked, headers={"Accept": accept})


def made(sim: Simulator) -> bytes:
    """The file that the simulator says it made last, off its disk."""
    sim.wait_until_idle()  # the history arrives last
    *_, entry = sim.history.values()
    output = entry["outputs"]["2"]
    if "result" in output:
        return (sim.output_directory / output["result"][0]).read_bytes()
    file = next(each for entries in output.values() for each in entries if isinstance(each, dict))
    folder = sim.temp_directory if file["type"] == "temp" else sim.output_directory
    data = (folder / file["subfolder"] / file["filename"]).read_bytes()
    assert data == requests.get(f"{sim.url}/view", params=file, timeout=5).content
    assert data
    return data


def data_in(body: dict[str, Any], output: dict[str, Any]) -> bytes:
    """An output's bytes, out of the place that JSON has for them."""
    if output["kind"] == "image":
        assert "data" not in output
        return base64.b64decode(body["images"][output["index"]])
    assert output["index"] is None
    return base64.b64decode(output["data"])


def has_three_frames(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        return bool(getattr(picture, "n_frames", 1) == 3)


@pytest.mark.parametrize("wait", ["websocket", "poll"])
@pytest.mark.parametrize("class_type", EVERY)
def test_json_has_the_bytes_and_what_they_are(api: FlaskClient, sim: Simulator, class_type: str, wait: str) -> None:
    case = EVERY[class_type]

    body = success(ask(api, class_type, wait=wait))

    output, *others = body["outputs"]
    assert len(others) == (2 if class_type in STILLS else 0)
    assert data_in(body, output) == made(sim)
    assert (output["kind"], output["media_type"], output["type"]) == (case.kind, case.media_type, case.type)
    assert output["filename"].endswith(case.ending)
    assert output["bytes"] == len(made(sim))
    assert (output["width"], output["height"]) == ((32, 24) if case.kind == "image" else (None, None))
    assert body["warnings"] == []


@pytest.mark.parametrize("class_type", [name for name, case in EVERY.items() if case.kind not in ("3d", "file")])
def test_the_kind_that_is_accepted_comes_as_its_bytes(api: FlaskClient, sim: Simulator, class_type: str) -> None:
    case = EVERY[class_type]

    for accept in (f"{case.kind}/*", case.media_type):
        response = ask(api, class_type, accept)

        assert response.status_code == 200, response.text
        assert response.data == made(sim)
        assert response.content_type == case.media_type
        assert case.ending in response.headers["Content-Disposition"]


@pytest.mark.parametrize("class_type", EVERY)
def test_a_zip_has_the_bytes(api: FlaskClient, sim: Simulator, class_type: str) -> None:
    response = ask(api, class_type, "application/zip")

    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        name = archive.namelist()[0]
        assert archive.read(name) == made(sim)
    assert name.endswith(EVERY[class_type].ending)


@pytest.mark.parametrize("class_type", CASES)
def test_a_result_has_the_bytes_later_too(api: FlaskClient, sim: Simulator, class_type: str) -> None:
    prompt_id = success(ask(api, class_type))["prompt_id"]

    body = success(api.get(f"/results/{prompt_id}"))

    [output] = body["outputs"]
    assert data_in(body, output) == made(sim)
    assert (output["kind"], output["media_type"]) == (CASES[class_type].kind, CASES[class_type].media_type)


@pytest.mark.parametrize(
    "options",
    [{"format": "png"}, {"format": "jpeg", "quality": 50}, {"format": "webp"}, {"max_size": 8}],
    ids=lambda options: next(iter(options.values())),
)
@pytest.mark.parametrize("class_type", CASES)
def test_what_is_no_still_image_is_left_as_it_is(
    api: FlaskClient, sim: Simulator, class_type: str, options: dict[str, Any]
) -> None:
    body = success(ask(api, class_type, output=options))

    [output] = body["outputs"]
    assert data_in(body, output) == made(sim)
    assert output["media_type"] == CASES[class_type].media_type
    if output["kind"] == "image":
        assert has_three_frames(data_in(body, output))


def test_a_still_image_beside_it_is_converted(api: FlaskClient) -> None:
    graph = graphs.frames("SaveAnimatedWEBP", **WEBP)
    graph["3"] = node("SaveImage", images=["a", 0], filename_prefix="still")

    body = success(api.post("/generate", json={"workflow": graph, "output": {"format": "jpeg"}}))

    assert [(each["node_id"], each["media_type"]) for each in body["outputs"]] == [
        ("2", "image/webp"),
        ("3", "image/jpeg"),
    ]
    assert has_three_frames(base64.b64decode(body["images"][0]))


@pytest.mark.parametrize("class_type", ["SaveVideo", "SaveWEBM", "SaveAudio", "SaveLatent", "Preview3D"])
def test_only_images_lose_their_metadata(api: FlaskClient, sim: Simulator, class_type: str) -> None:
    body = success(ask(api, class_type, output={"metadata": "strip"}))

    assert data_in(body, body["outputs"][0]) == made(sim)


@pytest.mark.parametrize("class_type", ["SaveAnimatedWEBP", "SaveAnimatedPNG"])
def test_a_moving_picture_that_loses_its_metadata_moves_on(api: FlaskClient, sim: Simulator, class_type: str) -> None:
    body = success(ask(api, class_type, output={"metadata": "strip"}))

    stripped = data_in(body, body["outputs"][0])
    assert b"class_type" in made(sim)
    assert b"class_type" not in stripped
    assert has_three_frames(stripped)


def test_a_moving_picture_is_not_made_another_format_for_who_accepts_no_other(api: FlaskClient) -> None:
    body = failure(ask(api, "SaveAnimatedWEBP", "image/png"), 406, "not_acceptable")

    assert "image/webp" in body["error"]


@pytest.mark.parametrize(
    ("class_type", "accept"), [("SaveVideo", "image/*"), ("SaveAnimatedWEBP", "video/*"), ("SaveAudio", "video/*")]
)
def test_the_key_that_a_file_comes_under_does_not_make_it_one(api: FlaskClient, class_type: str, accept: str) -> None:
    # a video comes under `images`, and an animated picture is still an image
    body = failure(ask(api, class_type, accept), 406, "not_acceptable")

    assert EVERY[class_type].kind in body["error"]


def test_a_text_comes_as_it_is(api: FlaskClient) -> None:
    asked = {"workflow": {"1": node("PrimitiveString", value=TEXT), "2": node("PreviewAny", source=["1", 0])}}

    body = success(api.post("/generate", json=asked))
    zipped = api.post("/generate", json=asked, headers={"Accept": "application/zip"})

    [output] = body["outputs"]
    assert (output["kind"], output["text"]) == ("text", TEXT)
    assert output["media_type"] == "text/plain; charset=utf-8"
    assert output["bytes"] == len(TEXT.encode())
    assert "data" not in output
    with zipfile.ZipFile(io.BytesIO(zipped.data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"text_2.txt": TEXT.encode()}


def test_an_image_that_was_sent_over_the_websocket_is_an_image(api: FlaskClient) -> None:
    graph = graphs.frames("SaveImageWebsocket")
    first, _, third = (graph[name]["inputs"]["color"].to_bytes(3, "big") for name in "abc")

    body = success(api.post("/generate", json={"workflow": graph}))
    response = api.post("/generate?index=2", json={"workflow": graph}, headers={"Accept": "image/*"})

    assert [(each["kind"], each["media_type"], each["type"]) for each in body["outputs"]] == [
        ("image", "image/png", "websocket")
    ] * 3
    for data, color in ((base64.b64decode(body["images"][0]), first), (response.data, third)):
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, bytes(picture.getpixel((0, 0)))) == ("PNG", color)


@pytest.mark.parametrize("order", list(itertools.permutations(["2", "7", "9"])))
def test_outputs_come_in_the_order_of_the_graph_however_they_are_sent(
    api: FlaskClient, order: tuple[str, ...]
) -> None:
    graph = graphs.frames("SaveImageWebsocket")
    graph |= {
        "7": node("SaveImage", images=["ab", 0], filename_prefix="x"),
        "9": node("SaveImageWebsocket", images=["b", 0]),
    }
    colors = {name: graph[name]["inputs"]["color"].to_bytes(3, "big") for name in "abc"}
    graph = {name: graph[name] for name in [*order, *(graph.keys() - set(order))]}

    body = success(api.post("/generate", json={"workflow": graph}))

    made = {"2": "abc", "7": "ab", "9": "b"}
    expected = [(name, colors[each]) for name in order for each in made[name]]
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for data in body["images"]]
    assert [each["node_id"] for each in body["outputs"]] == [name for name, _ in expected]
    assert [bytes(each.getpixel((0, 0))) for each in pictures] == [color for _, color in expected]


def test_one_graph_can_make_them_all(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.frames("SaveAnimatedWEBP", **WEBP)
    graph |= {
        "video": node("CreateVideo", images=["abc", 0], fps=8.0, audio=["sound", 0]),
        "sound": node("LoadAudio", audio=SOUND),
        "3": node("SaveVideo", video=["video", 0], filename_prefix="x", format="mp4", codec="h264"),
        "4": node("SaveAudio", audio=["sound", 0], filename_prefix="x"),
        "5": node("PreviewAny", source=TEXT),
        "6": node("Preview3D", model_file=MODEL),
        "7": node("SaveImage", images=["a", 0], filename_prefix="x"),
        "8": node("PreviewImage", images=["b", 0]),
    }
    asked = {"workflow": graph, "images": {SOUND: base64.b64encode(WAV).decode()}}

    body = success(api.post("/generate", json=asked))

    kinds = {each["node_id"]: each["kind"] for each in body["outputs"]}
    assert kinds == {"2": "image", "3": "video", "4": "audio", "5": "text", "6": "3d", "7": "image"}
    assert len(body["images"]) == 2
    for accept, node_id in (("video/*", "3"), ("audio/*", "4")):
        [wanted] = [each for each in body["outputs"] if each["node_id"] == node_id]
        response = api.post("/generate", json=asked, headers={"Accept": accept})
        assert response.data == base64.b64decode(wanted["data"])  # the same file, from ComfyUI's cache
    moving = api.post("/generate", json=asked, headers={"Accept": "image/*"})
    assert has_three_frames(moving.data)


def test_a_sound_is_loaded_from_what_was_sent(api: FlaskClient, sim: Simulator) -> None:
    data = base64.b64decode(success(ask(api, "SaveAudioMP3"))["outputs"][0]["data"])
    [place] = (sim.input_directory / "comfybridge").iterdir()

    assert place.read_bytes() == WAV
    note = json.loads(data[data.index(b"{") : data.index(b"}") + 1])
    assert (note["rate"], note["channels"]) == (8000, 2)
