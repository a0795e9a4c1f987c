"""Inputs that name files: those that lead out of ComfyUI's folders are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.comfyui.catalog import Catalog, NodeClass
from comfybridge.simulator import Simulator
from tests.web.answers import failure, success
from tests.web.input_files import b64, loading, png, refused, same_color

TRICKS = [
    "../output/x.png",
    "..\\output\\x.png",
    "sub/../../output/x.png",
    "sub\\..\\x.png",
    "..",
    " ../x.png",
    "sub/.. /x.png",
    "../output/x.png [input]",
    "sub/..x[input]",  # ComfyUI drops the letter before the bracket
    "/etc/passwd",
    "\\\\server\\share\\x.png",
    "C:\\x.png",
    "c:x.png",
    "x\0.png",
    "x\n.png",
]


@pytest.mark.parametrize("name", TRICKS)
def test_a_name_that_leads_out_of_comfyui_s_folders_is_refused(api: FlaskClient, sim: Simulator, name: str) -> None:
    said = "it must be the name of a file in ComfyUI's input folder"
    for body in (
        {"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"image": name}},
        {"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"10.image": name}},
        {"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"10.image": {"__value__": name}}},
        {"workflow": loading(name)},
        {"prompt": loading(name, loader="LoadImageMask")},
        {"workflow": loading(name, loader="NobodyKnowsThisLoadImage")},
        {"workflow": loading("a.png"), "params": {"10.image": name}},
    ):
        refused(api.post("/generate", json=body), sim, said)
    if "\0" not in name:
        form = {"workflow": "img2img", "prompt": "x", "image": name}
        refused(api.post("/generate", data=form, content_type="multipart/form-data"), sim, said)


def test_in_an_object_and_over_links_too(api: FlaskClient, sim: Simulator) -> None:
    body = {"workflow": {**loading("example.png"), "7": {"class_type": "PrimitiveString", "inputs": {"value": "a"}}}}
    body["workflow"]["8"] = {"class_type": "PrimitiveString", "inputs": {"value": ["7", 0]}}
    body["workflow"]["10"]["inputs"]["image"] = ["8", 0]
    said = "10.image is '../output/x.png'; it must be"
    refused(api.post("/generate", json={**body, "params": {"7.value": "../output/x.png"}}), sim, said)
    threed = {"class_type": "Load3D", "inputs": {"image": {"image": "a.png", "mask": "/etc/passwd"}}}
    asked = {"workflow": {**loading("example.png"), "7": threed}}
    refused(api.post("/generate", json=asked), sim, "7.image is '/etc/passwd'")


def test_an_input_that_takes_uploads_is_known_whatever_its_class_is_called(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = {"Shower": {"picture": (["a.png"], {"image_upload": True}), "text": ("STRING", {"multiline": True})}}
    declare(monkeypatch, classes)
    for inputs, status in (({"picture": "../x.png"}, True), ({"text": "../x.png"}, False)):
        asked = {"workflow": {**loading("example.png"), "7": {"class_type": "Shower", "inputs": inputs}}}
        said = api.post("/generate", json=asked).get_json().get("error", "")
        assert ("7.picture is '../x.png'; it must be" in said) == status


def test_a_loader_of_any_path_may_be_given_one(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who installs such a node wants that; what the stand-in says of it is its own business."""
    declare(monkeypatch, {"LoadImagesFromPath": {"path": ("STRING", {})}})
    asked = {"workflow": {"7": {"class_type": "LoadImagesFromPath", "inputs": {"path": "/data"}}, **loading("a.png")}}
    assert "/data" not in api.post("/generate", json=asked).get_json()["error"]


def declare(monkeypatch: pytest.MonkeyPatch, classes: dict[str, dict[str, Any]]) -> None:
    """Have the bridge believe that ComfyUI has these node classes, by their inputs."""
    ask = Catalog.node_class

    def node_class(self: Catalog, name: str, deadline: Any, *, fresh: bool = False) -> NodeClass | None:
        if name in classes:
            inputs = {each: list(declared) for each, declared in classes[name].items()}
            return NodeClass(name, False, inputs, {})
        return ask(self, name, deadline, fresh=fresh)

    monkeypatch.setattr(Catalog, "node_class", node_class)


@pytest.mark.parametrize(
    "name", ["sub/cat.png", "sub\\cat.png", "sub/cat.png [input]", "a..b/..cat.png", "cat...png", "Ünï cöde.png"]
)
def test_a_name_in_a_subfolder_passes(api: FlaskClient, sim: Simulator, name: str) -> None:
    path = sim.input_directory / name.removesuffix(" [input]")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png())
    success(api.post("/generate", json={"workflow": loading(name)}))
    success(api.post("/generate", json={"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"image": name}}))


@pytest.mark.parametrize("text", ["../x", "/imagine a cat", "C: a cat", "a cat\nand ..", ".."])
def test_a_text_for_people_is_no_name(api: FlaskClient, text: str) -> None:
    success(api.post("/generate", json={"prompt": text, "negative_prompt": text, "steps": 1}))
    success(api.post("/generate", json={"steps": 1, "params": {"6.text": text}}))


def test_what_a_template_says_of_its_own_is_its_owner_s_business(
    make_app: Callable[..., Flask], tmp_path: Any, sim: Simulator
) -> None:
    (sim.input_directory.parent / "kept.png").write_bytes(png())
    (tmp_path / "mine.json").write_text(json.dumps(loading("../kept.png")))
    (tmp_path / "mine.yaml").write_text("parameters: {image: {node: 10, input: image, type: image}}")
    (tmp_path / "other.json").write_text(json.dumps(loading("example.png")))
    default = "parameters: {image: {node: 10, input: image, type: image, default: ../kept.png}}"
    (tmp_path / "other.yaml").write_text(default)
    for closed in (True, False):
        api = make_app(workflows_dir=tmp_path, workflows_only=closed).test_client()
        for name in ("mine", "other"):
            body = success(api.post("/generate", json={"workflow": name}))
            assert same_color(body["images"][0], png())
            asked = {"workflow": name, "params": {"image": "../kept.png"}}
            assert "input folder" in failure(api.post("/generate", json=asked), 400, "invalid_request")["error"]


def test_a_file_may_be_sent_for_an_input_that_names_a_path(api: FlaskClient, sim: Simulator) -> None:
    """As in a graph of another machine."""
    name = "C:\\pictures\\cat.png"
    body = success(api.post("/generate", json={"workflow": loading(name), "images": {name: b64(png())}}))
    assert same_color(body["images"][0], png())
