"""`GET /workflows` and the folder behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, image, success


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.json").write_text(json.dumps(graphs.picture()))
    return tmp_path


@pytest.fixture
def own(make_app: Callable[..., Flask], folder: Path) -> FlaskClient:
    return make_app(workflows_dir=folder, default_workflow="plain").test_client()


def test_the_shipped_workflows_are_listed(api: FlaskClient) -> None:
    body = api.get("/workflows").get_json()
    assert {each["name"]: each["tasks"] for each in body["workflows"]} == {
        "txt2img": ["txt2img"],
        "sdxl": ["txt2img"],
        "flux": ["txt2img"],
        "img2img": ["img2img"],
        "inpaint": ["inpaint"],
        "edit": ["edit"],
        "upscale": ["upscale"],
        "upscale_model": ["upscale"],
    }
    assert body["broken"] == []
    assert all(each["description"] and each["parameters"] for each in body["workflows"])


def test_a_workflow_tells_what_it_takes_as_a_json_schema(api: FlaskClient, sim: Simulator) -> None:
    body = api.get("/workflows/txt2img").get_json()
    schema = body["parameters"]
    assert schema["type"] == "object"
    assert schema["properties"]["steps"]["type"] == "integer"
    assert schema["properties"]["steps"]["default"] == 20
    assert schema["properties"]["model"]["enum"] == list(sim.checkpoints)
    assert schema["properties"]["prompt"]["description"]


def test_a_workflow_can_be_read_without_a_comfyui(api: FlaskClient, sim: Simulator) -> None:
    sim.stop()
    assert api.get("/workflows/txt2img").get_json()["parameters"]["properties"]["seed"]


def test_an_unknown_workflow_is_a_404(api: FlaskClient) -> None:
    failure(api.get("/workflows/nope"), 404, "unknown_workflow")
    failure(api.get("/workflows/../app"), 404, "unknown_workflow")


def test_a_new_file_is_a_workflow_on_the_next_request(own: FlaskClient, folder: Path) -> None:
    failure(own.post("/generate", json={"workflow": "late"}), 404, "unknown_workflow")
    (folder / "late.json").write_text(json.dumps(graphs.picture(24, 16)))
    assert image(success(own.post("/generate", json={"workflow": "late"}))["images"][0]).size == (24, 16)
    (folder / "late.json").unlink()
    failure(own.post("/generate", json={"workflow": "late"}), 404, "unknown_workflow")


def test_a_broken_file_is_named_and_breaks_nothing_else(own: FlaskClient, folder: Path) -> None:
    (folder / "bad.json").write_text("{")
    body = own.get("/workflows").get_json()
    assert [each["name"] for each in body["workflows"]] == ["plain"]
    assert [each["name"] for each in body["broken"]] == ["bad"]
    assert str(folder) not in json.dumps(body)
    assert success(own.post("/generate", data="{}"))["images"]


def test_readiness_needs_a_comfyui_that_answers(api: FlaskClient, sim: Simulator) -> None:
    assert api.get("/ready").get_json() == {"status": "ready", "queue_remaining": 0}
    sim.stop()
    failure(api.get("/ready"), 503, "comfyui_unreachable")
    assert api.get("/health").get_json() == {"status": "ok"}


def test_a_template_whose_file_names_no_model_gets_the_installed_one_too(
    own: FlaskClient, folder: Path, sim: Simulator
) -> None:
    (folder / "mine.json").write_text(json.dumps(graphs.txt2img("not installed.safetensors")))
    (folder / "mine.yaml").write_text("parameters: {prompt: {node: 6, input: text}}")
    body = success(own.post("/generate", json={"workflow": "mine", "prompt": "a cat"}))
    assert sim.checkpoints[0] in body["warnings"][0]


def test_the_documented_example_of_a_parameter_file_works(own: FlaskClient, folder: Path) -> None:
    root = Path(__file__).parent.parent.parent
    example, *_ = re.findall(r"```yaml\n(.*?)```", (root / "docs/workflows.md").read_text("utf-8"), re.DOTALL)
    (folder / "square.json").write_text((root / "workflows" / "txt2img.json").read_text("utf-8"))
    (folder / "square.yaml").write_text(example)
    asked = {"workflow": "square", "prompt": "a cat", "steps": 2, "params": {"size": 768}}
    body = success(own.post("/generate", json=asked))
    assert image(body["images"][0]).size == (768, 768)
