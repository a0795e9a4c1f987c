"""OpenAI's Images API with workflows of the operator's own, and what is refused before ComfyUI works for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from comfybridge.media import MarkedAs, marked_mask
from comfybridge.settings import SHIPPED_WORKFLOWS
from comfybridge.simulator import Simulator
from tests.dialects.openai_calls import EDITS, GENERATIONS, SMALL, form, pictures, refused
from tests.dialects.pictures import RED, as_data_uri, as_png, mask, opened
from tests.web.answers import image

MakeOwn = Callable[..., FlaskClient]

EMPTY: dict[str, Any] = {
    "class_type": "EmptyImage",
    "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0},
}
SAVED = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "own"}}
PLAIN = {"1": EMPTY, "2": SAVED}
VIDEO = {
    "1": EMPTY,
    "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8}},
    "3": {
        "class_type": "SaveVideo",
        "inputs": {"video": ["2", 0], "filename_prefix": "own", "format": "auto", "codec": "auto"},
    },
}


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path) -> MakeOwn:
    """Makes an API with workflows of the operator's own beside the shipped ones."""

    def make(**graphs: Any) -> FlaskClient:
        folder = tmp_path / "own"
        folder.mkdir()
        for shipped in SHIPPED_WORKFLOWS.iterdir():
            (folder / shipped.name).write_bytes(shipped.read_bytes())
        for name, graph in graphs.items():
            (folder / f"{name}.json").write_text(json.dumps(graph))
        return make_app(workflows_dir=folder).test_client()

    return make


@pytest.mark.parametrize("name", ["gpt-image-1", "dall-e-3", "chatgpt-image-latest"])
def test_a_workflow_named_like_a_model_of_openais_runs_in_its_place(own: MakeOwn, name: str) -> None:
    body = pictures(own(**{name: PLAIN}).post(GENERATIONS, json={"prompt": "x", "model": name}))
    assert body["size"] == "16x16"


def test_a_file_named_like_a_model_of_openais_is_a_file(api: FlaskClient) -> None:
    body = {**SMALL, "model": "dall-e-mini.safetensors"}
    assert "not installed" in refused(api.post(GENERATIONS, json=body), 404, "model_not_found", "model")
    assert "not installed" in refused(
        api.post(GENERATIONS, json={**SMALL, "model": "dall-events"}), 404, "model_not_found", "model"
    )


def test_a_workflow_without_pictures_does_not_run(own: MakeOwn, sim: Simulator) -> None:
    said = refused(
        own(film=VIDEO).post(GENERATIONS, json={**SMALL, "model": "film"}), 400, "invalid_request", "model"
    )
    assert "makes no picture, but video" in said
    assert not any(each.path == "/prompt" for each in sim.requests)


def test_what_is_no_picture_is_left_out_with_a_warning(own: MakeOwn) -> None:
    both = {**VIDEO, "4": SAVED}
    body = pictures(own(both=both).post(GENERATIONS, json={"prompt": "x", "model": "both"}))
    assert len(body["data"]) == 1
    assert any("also made video" in each for each in body["comfybridge"]["warnings"])


@pytest.mark.parametrize("name", ["img2img", "inpaint", "upscale"])
def test_a_workflow_that_needs_a_picture_is_for_edits(api: FlaskClient, name: str) -> None:
    said = refused(api.post(GENERATIONS, json={**SMALL, "model": name}), 400, "invalid_request", "model")
    assert EDITS in said


def test_a_mask_is_asked_for_as_openai_means_it(api: FlaskClient) -> None:
    sent = form(image=RED, model="inpaint", steps="1")
    assert "transparent" in refused(api.post(EDITS, data=sent), 400, "invalid_request", "mask")
    sent = form(image=RED, mask=mask(), model="edit", steps="1")
    assert "task inpaint" in refused(api.post(EDITS, data=sent), 400, "invalid_request", "mask")


def test_a_file_that_cannot_be_read_is_named(api: FlaskClient) -> None:
    for field, files in (("mask", {"image": RED, "mask": b"no picture"}), ("image", {"image": b"no picture"})):
        refused(api.post(EDITS, data=form(steps="1", **files)), 400, "invalid_request", field)


@pytest.mark.parametrize(
    "harmless", [{"negative_prompt": ""}, {"seed": -1}, {"denoise": 1}, {"seed": "-1", "denoise": "1.0"}]
)
def test_what_asks_for_nothing_is_no_error(own: MakeOwn, harmless: dict[str, Any]) -> None:
    api = own(plain=PLAIN)
    body = pictures(api.post(GENERATIONS, json={"prompt": "x", "model": "plain", **harmless}))
    assert image(body["data"][0]["b64_json"]).size == (16, 16)


def test_what_a_workflow_cannot_do_is_an_error(own: MakeOwn) -> None:
    api = own(plain=PLAIN)
    for field, value in (("negative_prompt", "blur"), ("seed", 5), ("denoise", 0.5)):
        refused(
            api.post(GENERATIONS, json={"prompt": "x", "model": "plain", field: value}), 400, "invalid_request", field
        )


@pytest.mark.parametrize(
    ("field", "value"), [("image", 5), ("images", [[]]), ("mask", ["x"]), ("image", "file:///x")]
)
def test_a_sentence_names_the_field_once(api: FlaskClient, field: str, value: object) -> None:
    body = {"prompt": "x", "image": as_data_uri(RED), field: value}
    said = refused(api.post(EDITS, json=body), 400, "invalid_request", field)
    assert said.startswith(f"{field} ")


def test_the_field_that_is_wrong_is_the_one_that_was_sent(api: FlaskClient) -> None:
    for body, param in (
        ({"timeout": 1e9}, "timeout"),
        ({"size": "0x64"}, "size"),
        ({"width": 0}, "width"),
        ({"size": None, "params": {"width": 0}}, "width"),
    ):
        refused(api.post(GENERATIONS, json={**SMALL, **body}), 400, "invalid_request", param)
    sent = form(image=RED, **{"params[]": "5"})
    assert "params[NAME]" in refused(api.post(EDITS, data=sent), 400, "invalid_request", "params")


@pytest.mark.parametrize("form", ["white", "black", "opaque"])
def test_a_mask_is_no_greyscale_file(form: MarkedAs) -> None:
    """ComfyUI 0.33 can't read greyscale files that are less than 16 pixels wide."""
    sent = as_png(Image.new("RGBA", (10, 64), (0, 0, 0, 0)))
    made = opened(marked_mask("mask", sent, form))
    assert (made.mode, made.size) == ("RGBA" if form == "opaque" else "RGB", (10, 64))
