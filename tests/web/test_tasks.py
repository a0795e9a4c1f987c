"""What templates are for: as their owner says, or as their parameters and nodes show."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.workflow.unconverted import Unconverted
from tests import graphs
from tests.graphs import node
from tests.web.saved_files import picture
from tests.workflow.described import described
from tests.workflow.editor.judge import load

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the template `own`, and what its parameter file says."""

    def write(graph: dict[str, Any], **said: Any) -> None:
        (tmp_path / "own.json").write_text(json.dumps(graph))
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(said))

    return write


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    return make_app(workflows_dir=tmp_path, default_workflow="own").test_client()


def of_picture(*, mask: bool = False, **more: Any) -> dict[str, Any]:
    """A graph that paints a picture over."""
    graph = graphs.txt2img("model.safetensors")
    graph["10"] = node("LoadImage", image="example.png")
    graph["5"] = node("VAEEncode", pixels=["10", 0], vae=["4", 2])
    if mask:
        graph["11"] = node("LoadImageMask", image="example.png", channel="red")
        graph["12"] = node("SetLatentNoiseMask", samples=["5", 0], mask=["11", 0])
        graph["3"]["inputs"]["latent_image"] = ["12", 0]
    return {**graph, **more}


def saved_by(last: dict[str, Any]) -> dict[str, Any]:
    """A graph that makes something of a text."""
    return {**graphs.txt2img("model.safetensors"), "9": last}


def upscaled() -> dict[str, Any]:
    return {
        "1": node("LoadImage", image="example.png"),
        "2": node("ImageScaleBy", image=["1", 0], upscale_method="lanczos", scale_by=2),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }


def inverted() -> dict[str, Any]:
    return {**upscaled(), "2": node("ImageInvert", image=["1", 0])}


def tasks(api: FlaskClient) -> list[str]:
    """The tasks of `own`, which both views tell."""
    (listed,) = api.get("/workflows").get_json()["workflows"]
    found: list[str] = api.get("/workflows/own").get_json()["tasks"]
    assert listed["tasks"] == found
    return found


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        (graphs.txt2img("model.safetensors"), ["txt2img"]),
        (of_picture(), ["img2img"]),
        (of_picture(mask=True), ["inpaint"]),
        (upscaled(), ["upscale"]),
        (inverted(), []),
        (saved_by(node("SaveSVGNode", svg=["8", 0], filename_prefix="x")), []),
        (saved_by(node("VHS_VideoCombine", images=["8", 0], frame_rate=8, format="video/h264-mp4")), []),
        (saved_by(node("ImageUpload", images=["8", 0], site="example.org")), ["txt2img"]),
    ],
)
def test_tasks_are_found(own: FlaskClient, write: Write, graph: dict[str, Any], found: list[str]) -> None:
    write(graph)
    assert tasks(own) == found


def test_only_what_callers_may_give_counts(own: FlaskClient, write: Write) -> None:
    write(of_picture(), parameters={"prompt": {"node": 6, "input": "text"}})
    assert tasks(own) == ["txt2img"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"task": "upscale"}, ["upscale"]),
        ({"tasks": ["img2img", "edit"]}, ["img2img", "edit"]),
        ({"tasks": "edit"}, ["edit"]),
    ],
)
def test_tasks_are_what_the_owner_says(own: FlaskClient, write: Write, said: Any, found: list[str]) -> None:
    write(of_picture(), **said)
    assert tasks(own) == found


def test_an_editor_s_file_has_tasks_too(own: FlaskClient, write: Write) -> None:
    write(picture(), task="txt2img")
    assert tasks(own) == ["txt2img"]


def test_a_name_counts_where_nothing_else_tells(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    for name in ("upscale", "other"):
        (tmp_path / f"{name}.json").write_text(json.dumps(inverted()))
    listed = make_app(workflows_dir=tmp_path).test_client().get("/workflows").get_json()["workflows"]
    assert {each["name"]: each["tasks"] for each in listed} == {"upscale": ["upscale"], "other": []}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"task": "repaint"}, "own.yaml: task has the text 'repaint'; tasks are inpaint, "),
        ({"tasks": ["edit", 3]}, "own.yaml: tasks has 3; tasks are"),
        ({"task": "edit", "tasks": ["edit"]}, "own.yaml has both task and tasks; keep one of them."),
        ({"dialects": ["openai"]}, "own.yaml: dialects is a list; it must be an object by dialect."),
        ({"dialects": {"a111": {}}}, "own.yaml: dialects has the text 'a111'; there is openai, automatic1111."),
        (
            {"dialects": {"openai": {"drop": []}}},
            "own.yaml: dialects, openai has the key 'drop'; use ignore or rename.",
        ),
        ({"dialects": {"openai": {"ignore": "size"}}}, "ignore must be a list of names of fields."),
        (
            {"dialects": {"openai": {"rename": {"size": 3}}}},
            "rename must be an object of parameters by names of fields.",
        ),
        (
            {"dialects": {"a1111": {"rename": {"cfg_scale": "guidance"}}}},
            "leads cfg_scale to guidance, which is not a",
        ),
        ({"dialects": {"a1111": {}, "automatic1111": {}}}, "dialects has automatic1111 twice"),
        (
            {"dialects": {"a1111": {"ignore": ["seed"], "rename": {"seed": "seed"}}}},
            "own.yaml: dialects, a1111: seed is both renamed and ignored.",
        ),
    ],
)
def test_a_file_that_says_it_wrong_is_broken(own: FlaskClient, write: Write, said: Any, sentence: str) -> None:
    write(of_picture(), **said)
    (broken,) = own.get("/workflows").get_json()["broken"]
    assert sentence in broken["error"]


def test_files_of_other_tools_may_say_such_things_otherwise(own: FlaskClient, write: Write) -> None:
    write(of_picture(), task="portrait", node_mappings={"prompt": {"node_id": "6", "property": "text"}})
    assert own.get("/workflows").get_json()["broken"] == []


@pytest.mark.parametrize(
    ("name", "found", "mask"),
    [
        ("image_chroma1_radiance_text_to_image", ("txt2img",), None),
        ("image_z_image_turbo", ("txt2img",), None),
        ("api_bfl_flux_1_kontext_pro_image", ("edit",), None),
        ("image_qwen_image_edit_2509", ("edit",), None),
        ("api_nano_banana_2_lite_image_edit", ("edit",), None),
        ("flux_fill_inpaint_example", ("inpaint",), "in_image"),
        ("api_openai_image_1_inpaint", ("edit", "inpaint"), "in_image"),
        ("utility_recraft_crisp_image_upscale", ("upscale",), None),
        ("utility_seedvr2_7b_int8_upscale_image", ("upscale",), None),
        ("utility_seedvr2_3b_int8_upscale_video", (), None),
        ("video_wan2_2_14B_t2v", (), None),
        ("image_to_video_wan", (), None),
        ("audio_stable_audio_example", (), None),
    ],
)
def test_official_workflows_are_for_what_they_are_called(name: str, found: tuple[str, ...], mask: str | None) -> None:
    saved = replace(Unconverted.of(load("templates-0.33.0")[name]["workflow"]), name="own")
    template = saved.template({each: known for each in saved.types if (known := described(each))})
    assert (template.tasks, template.mask_form()) == (found, mask)
