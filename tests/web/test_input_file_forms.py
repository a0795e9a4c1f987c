"""Input files in the form that each input takes: a name, base64, or an address."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.graphs import node
from tests.web.answers import failure, success
from tests.web.input_files import b64, loading, png, refused, sent_graph, stored
from tests.web.loaders_of_packs import TEXT, install, loader, loading_text
from tests.web.policies import SHOP, MakeApi

URL = "https://pictures.example.org/cat.png?size=1"
ASKED = {"images": {"a.png": b64(png())}}


def shown(body: dict[str, Any]) -> str:
    """What the node was given."""
    text: str = body["outputs"][0]["text"]
    return text


TAKE_BASE64 = {
    "by the class": loader("ETN_LoadImageBase64", "image"),
    "by the class in words": loader("Load Image (Base64)", "image"),
    "by the input": loader("easy loader", "base64_data"),
    "by a short word": loader("LoadMaskB64", "mask"),
    "by the tooltip": loader("Picture", "value", ("STRING", {"tooltip": "The image, encoded as Base64."})),
    "rather than by a path": loader("LoadImage", "value", ("STRING", {"tooltip": "A path, or base64."})),
    "by the input's name before the class's": loader("LoadImageFromUrl", "image_base64"),
}


@pytest.mark.parametrize("kind", TAKE_BASE64.values(), ids=TAKE_BASE64.keys())
def test_an_input_that_takes_base64_gets_the_data(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    install(monkeypatch, kind)
    graph = loading_text(kind.name, *kind.required)
    for data in (b64(png()), "data:image/png;base64," + b64(png())):
        body = success(api.post("/generate", json={"workflow": graph, "images": {"a.png": data}}))
        assert base64.b64decode(shown(body)) == png()
    assert stored(sim) == []


def test_an_input_whose_example_is_a_data_uri_gets_one(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, loader("Picture", "image", ("STRING", {"default": "data:image/png;base64,"})))
    body = success(api.post("/generate", json={"workflow": loading_text("Picture", "image"), **ASKED}))
    assert shown(body) == "data:image/png;base64," + b64(png())


TAKE_URLS = {
    "by the class": loader("LoadImageFromUrl", "image"),
    "by the class in capitals": loader("LoadImageFromHttpURL", "source"),
    "by the input": loader("Fetcher", "image_url"),
    "by the default": loader("Fetcher", "image", ("STRING", {"default": "https://example.com/image.png"})),
    "of two, by the input": loader("ImageBase64Loader", "url"),
}


@pytest.mark.parametrize("kind", TAKE_URLS.values(), ids=TAKE_URLS.keys())
def test_an_input_that_takes_addresses_gets_the_address_and_no_data(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """The bridge does not fetch it: there is no such host."""
    install(monkeypatch, kind)
    graph = loading_text(kind.name, *kind.required)
    assert shown(success(api.post("/generate", json={"workflow": graph, "images": {"a.png": URL}}))) == URL
    body = failure(api.post("/generate", json={"workflow": graph, **ASKED}), 400, "invalid_request")
    assert "which takes an http or https URL, not the file itself" in body["error"]
    assert stored(sim) == []


def test_an_input_that_takes_both_gets_what_the_caller_has(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, loader("LoadImageFromUrlOrBase64", "image"))
    graph = loading_text("LoadImageFromUrlOrBase64", "image")
    assert shown(success(api.post("/generate", json={"workflow": graph, "images": {"a.png": URL}}))) == URL
    assert shown(success(api.post("/generate", json={"workflow": graph, **ASKED}))) == b64(png())


def test_a_text_that_feeds_such_an_input_is_written_for_it(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, loader("LoadImageBase64", "image"))
    graph = {"0": node("TextBox", text="a.png"), "00": node("TextBox", text=["0", 0])}
    graph["1"] = node("LoadImageBase64", image=["00", 0])
    assert shown(success(api.post("/generate", json={"workflow": graph, **ASKED}))) == b64(png())


def test_other_texts_of_loaders_get_a_file_s_name_as_ever(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, loader("LoadImageFromPath", "image_path"), loader("LoadWebP", "image"))
    for name, input_name in (("LoadImageFromPath", "image_path"), ("LoadWebP", "image")):
        body = success(api.post("/generate", json={"workflow": loading_text(name, input_name), **ASKED}))
        assert shown(body) == f"comfybridge/{stored(sim)[0]}"


def test_a_path_that_is_not_looked_for_in_the_input_folder_is_refused(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ("STRING", {"placeholder": "X://insert/path/here.mp4", "vhs_path_extensions": ["mp4"]})
    install(monkeypatch, loader("VHS_LoadVideoPath", "video", spec))
    graph = loading_text("VHS_LoadVideoPath", "video")
    said = failure(api.post("/generate", json={"workflow": graph, **ASKED}), 400, "invalid_request")["error"]
    assert "takes an http or https URL or a path on ComfyUI's own machine, not the file itself" in said
    assert shown(success(api.post("/generate", json={"workflow": graph, "images": {"a.png": URL}}))) == URL


def test_comfyui_s_own_loader_is_not_asked_about(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": loading("a.png"), **ASKED}))
    assert not [each.path for each in sim.requests if "LoadImage" in each.path]


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A bridge whose template has a parameter of type image for a node that takes base64."""
    install(monkeypatch, loader("LoadImageBase64", "image"))
    (tmp_path / "own.json").write_text(json.dumps(loading_text("LoadImageBase64", "image", "")))
    (tmp_path / "own.yaml").write_text("parameters: {picture: {node: 1, input: image, type: image}}")
    return make_app(workflows_dir=tmp_path, default_workflow="own").test_client()


@pytest.mark.parametrize("place", ["images", "params"])
def test_a_parameter_s_file_is_told_of_without_its_data(own: FlaskClient, place: str) -> None:
    body = success(own.post("/generate", json={place: {"picture": b64(png())}}))
    assert shown(body) == b64(png())
    assert body["params"] == {"picture": f"image/png as base64, {len(png())} bytes"}
    again = own.get(f"/results/{body['prompt_id']}").get_json()
    assert again["params"] == body["params"]


def test_a_name_for_an_input_that_takes_data_is_refused(own: FlaskClient, sim: Simulator) -> None:
    refused(own.post("/generate", json={"params": {"picture": "cat.png"}}), sim, "which it feeds, takes base64")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1/cat.png", "not a public host"),
        ("http://gpu/cat.png", "not a public host"),
        ("http://db.internal/cat.png", "not a public host"),
        ("https://user:word@example.org/cat.png", "holds credentials"),
    ],
)
def test_addresses_that_the_bridge_would_not_fetch_are_not_handed_on(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    install(monkeypatch, loader("LoadImageFromUrl", "url"))
    graph = loading_text("LoadImageFromUrl", "url")
    refused(api.post("/generate", json={"workflow": graph, "images": {"a.png": url}}), sim, said)


def test_hosts_that_files_may_be_fetched_from_are_handed_on(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, loader("LoadImageFromUrl", "url"))
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    asked = {"workflow": loading_text("LoadImageFromUrl", "url"), "images": {"a.png": "http://127.0.0.1/cat.png"}}
    assert shown(success(api.post("/generate", json=asked))) == "http://127.0.0.1/cat.png"


def test_where_images_have_limits_none_that_nobody_has_seen_is_let_through(
    api_for: MakeApi, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, loader("LoadImageFromUrl", "url"), loader("LoadImageBase64", "image"))
    api = api_for(max_width=32)
    linked = {"workflow": loading_text("LoadImageFromUrl", "url"), "images": {"a.png": URL}}
    held = {"workflow": loading_text("LoadImageBase64", "image"), "images": {"a.png": b64(png(size=(40, 8)))}}
    for asked in (linked, held):
        refused(api.post("/generate", json=asked, headers=SHOP), sim, "may send images of", "forbidden", 403)


def test_what_is_no_picture_is_refused_for_a_node_of_pictures(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, loader("LoadImageBase64", "image"))
    graph = loading_text("LoadImageBase64", "image")
    asked = {"workflow": graph, "images": {"a.png": b64(b"hello")}}
    refused(api.post("/generate", json=asked), sim, "is not an image")


def test_files_within_a_graph_have_a_limit_of_their_own(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.files.inputs.MOST_IN_GRAPH", 100)
    install(monkeypatch, loader("LoadVideoBase64", "video", TEXT))
    graph = loading_text("LoadVideoBase64", "video", "a.mp4")
    refused(
        api.post("/generate", json={"workflow": graph, "images": {"a.mp4": b64(b"x" * 101)}}),
        sim, "as base64; they may have 100 together", "too_large", 413,
    )  # fmt: skip


# -- data where a name may be --------------------------------------------------------------------------------------

SMALLEST = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAECAIAAAA8r+mnAAAAEklEQVR4nGP8z4AdMOEQJ0MCAGSRAQfIidsoAAAAAElFTkSuQmCC"


@pytest.mark.parametrize("name", ["image", "10.image"])
@pytest.mark.parametrize(
    "data", [SMALLEST, SMALLEST[:40] + "\n" + SMALLEST[40:], "data:image/png;base64," + SMALLEST]
)
def test_a_short_picture_in_base64_is_the_picture_and_no_name(api: FlaskClient, name: str, data: str) -> None:
    asked = {"workflow": "img2img", "prompt": "a", "steps": 1, "params": {name: data}}
    body = success(api.post("/generate", json=asked))
    assert (body["outputs"][0]["width"], body["outputs"][0]["height"]) == (8, 8)
    assert body["params"][name].startswith("comfybridge/")
    assert body["params"]["image"] == body["params"][name]


@pytest.mark.parametrize("data", [SMALLEST, f"data:image/png;base64,{SMALLEST}"])
def test_data_within_a_graph_s_loader_is_a_file_too(api: FlaskClient, sim: Simulator, data: str) -> None:
    body = success(api.post("/generate", json={"workflow": loading(data)}))
    assert body["params"] == {"10.image": sent_graph(sim)["10"]["inputs"]["image"]}
    assert (body["outputs"][0]["width"], body["outputs"][0]["height"]) == (8, 4)
    given = {"workflow": loading(data), "params": {"10.image": b64(png())}}
    assert success(api.post("/generate", json=given))["outputs"][0]["width"] == 40


def test_a_url_within_a_graph_s_loader_is_fetched(api: FlaskClient, sim: Simulator) -> None:
    said = "images: 10.image: 127.0.0.1 is not a public host"
    refused(api.post("/generate", json={"workflow": loading("http://127.0.0.1/cat.png")}), sim, said)


def test_data_that_is_cut_off_in_params_is_told_of_where_it_is(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": "img2img", "params": {"image": "a" * 301}}
    refused(api.post("/generate", json=asked), sim, "params: image is not valid base64")


def test_a_text_that_is_no_data_is_a_name(api: FlaskClient, sim: Simulator) -> None:
    for name in ("holiday2024picture42", "nosuch.png"):
        asked = {"workflow": "img2img", "prompt": "a", "params": {"image": name}}
        said = failure(api.post("/generate", json=asked), 400, "invalid_workflow")["error"]
        assert f"image '{name}' is not a file in ComfyUI's input folder" in said
