"""Templates that can't run are no fault of the caller; what the caller gives, or leaves out, is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.input_files import b64, png, refused
from tests.web.policies import SHOP, MakeApi

SMALL = {"prompt": "x", "steps": 1, "width": 64, "height": 64}
MODELS = [
    {"name": "own.safetensors", "directory": "checkpoints", "url": "https://example.org/own.safetensors"},
    {"name": "fine-vae.safetensors", "directory": "vae", "url": "https://example.org/vae"},
]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Writes a template `own`, and what its parameter file says."""

    def write(graph: dict[str, Any], **said: Any) -> None:
        (tmp_path / "own.json").write_text(json.dumps(graph))
        if said:
            (tmp_path / "own.yaml").write_text(yaml.safe_dump(said))

    return write


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    return make_app(workflows_dir=tmp_path, default_workflow="own").test_client()


def with_vae(sim: Simulator, name: str = "fine-vae.safetensors") -> dict[str, Any]:
    graph = graphs.txt2img(sim.checkpoints[0])
    graph["10"] = graphs.node("VAELoader", vae_name=name)
    graph["8"]["inputs"]["vae"] = ["10", 0]
    return graph


def test_a_shipped_model_that_is_missing_is_told_with_its_address(api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = ["a.safetensors", "b.safetensors"]
    for name, site in (("txt2img", "huggingface.co/Comfy-Org/"), ("sdxl", "huggingface.co/stabilityai/")):
        said = failure(api.post("/generate", json={"workflow": name, "prompt": "x"}), 500, "model_missing")["error"]
        (model,) = api.get(f"/workflows/{name}").get_json()["models"]
        assert site in model["url"]
        assert f"put {model['name']} into its models folder {model['directory']} (from {model['url']})" in said
        assert "or give model as one of those that are: " in said


def test_one_that_the_caller_names_is_the_caller_s(api: FlaskClient, sim: Simulator) -> None:
    for params in ({"model": "no.safetensors"}, {"4.ckpt_name": "no.safetensors"}):
        refused(
            api.post("/generate", json={"prompt": "x", "params": params}), sim, "is 'no.safetensors', which is not"
        )


def test_without_any_model_the_sentence_says_so(own: FlaskClient, sim: Simulator, write: Callable[..., None]) -> None:
    sim.checkpoints = []
    write(graphs.txt2img("own.safetensors"), models=MODELS)
    said = failure(own.post("/generate", json=SMALL), 500, "model_missing")["error"]
    assert "nor is any other such model; put own.safetensors into its models folder checkpoints (from https" in said


def test_a_model_of_another_loader_is_told_likewise(
    own: FlaskClient, sim: Simulator, write: Callable[..., None]
) -> None:
    write(with_vae(sim), models=MODELS)
    body = failure(own.post("/generate", json=SMALL), 500, "model_missing")
    assert body["error"] == (
        "The workflow own needs fine-vae.safetensors (vae_name of node 10), not installed in ComfyUI; put "
        "fine-vae.safetensors into its models folder vae (from https://example.org/vae)."
    )
    assert body["node_errors"]["10"]["class_type"] == "VAELoader"
    given = {**SMALL, "params": {"10.vae_name": "mine.safetensors"}}
    failure(own.post("/generate", json=given), 400, "invalid_workflow")
    given["params"] = {"10.vae_name": sim.models["vae"][0]}
    success(own.post("/generate", json=given))


def test_the_same_in_a_graph_of_the_caller_s_own_is_the_caller_s(api: FlaskClient, sim: Simulator) -> None:
    failure(api.post("/generate", json={"workflow": with_vae(sim)}), 400, "invalid_workflow")


def test_a_template_that_does_not_fit_this_comfyui_is_no_fault_of_the_caller(
    own: FlaskClient, sim: Simulator, write: Callable[..., None]
) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    for change in ({"class_type": "NotInstalled"}, {"inputs": {**graph["3"]["inputs"], "scheduler": "sudden"}}):
        write({**graph, "3": {**graph["3"], **change}}, parameters={"steps": {"node": 3, "input": "steps"}})
        said = failure(own.post("/generate", json={"steps": 1}), 500, "broken_workflow")["error"]
        assert said.startswith("The workflow own does not fit this ComfyUI. ComfyUI refused the graph: ")
    write({"1": graph["4"]})
    failure(own.post("/generate", json={}), 500, "broken_workflow")


def test_a_value_of_the_caller_s_in_a_template_is_the_caller_s(api: FlaskClient) -> None:
    for given in (
        {"scheduler": "sudden"},
        {"params": {"3.scheduler": "sudden"}},
        {"params": {"3.positive": ["5", 0]}},
    ):
        failure(api.post("/generate", json={**SMALL, **given}), 400, "invalid_workflow")


def test_files_that_can_t_be_read_break_a_workflow(own: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text("{")
    for response in (own.post("/generate", json={}), own.get("/workflows/own")):
        assert (
            "The workflow own is broken: own.json can't be read" in failure(response, 500, "broken_workflow")["error"]
        )


BROKEN_MODELS = {
    "no list": ({"name": "x"}, "models is an object"),
    "no object": (["x"], "item 1 is the text 'x'"),
    "no name": ([{"url": "https://x"}], "has no name"),
    "another key": ([{"name": "x", "link": "https://x"}], "the key 'link'"),
    "no text": ([{"name": 5}], "name is 5"),
    "no address": ([{"name": "x", "url": "x.safetensors"}], "must be an http or https address"),
}


@pytest.mark.parametrize(("models", "said"), BROKEN_MODELS.values(), ids=BROKEN_MODELS.keys())
def test_a_list_of_models_must_make_sense(
    own: FlaskClient, write: Callable[..., None], models: Any, said: str
) -> None:
    write(graphs.picture(), models=models)
    (broken,) = own.get("/workflows").get_json()["broken"]
    assert said in broken["error"]


def test_a_missing_model_does_not_count_against_a_rate(api_for: MakeApi, sim: Simulator) -> None:
    sim.checkpoints = ["a.safetensors", "b.safetensors"]
    api = api_for(rate="1/minute")
    for _ in range(2):
        failure(api.post("/generate", json=SMALL, headers=SHOP), 500, "model_missing")
    success(api.post("/generate", json={**SMALL, "model": "a.safetensors"}, headers=SHOP))


# -- what must be given --------------------------------------------------------------------------------------------


def test_img2img_needs_an_image(api: FlaskClient, sim: Simulator) -> None:
    assert api.get("/workflows/img2img").get_json()["parameters"]["required"] == ["image"]
    asked = {"workflow": "img2img", "prompt": "x", "steps": 1}
    refused(api.post("/generate", json=asked), sim, "The workflow img2img needs image (the picture to start from")
    refused(api.post("/generate", data=asked, content_type="multipart/form-data"), sim, "img2img needs image")
    for given in (
        {"images": {"image": b64(png())}},
        {"images": {"example.png": b64(png())}},
        {"params": {"image": "example.png"}},
        {"params": {"10.image": "example.png"}},
    ):
        success(api.post("/generate", json={**asked, **given}))


def test_any_parameter_can_be_required(own: FlaskClient, sim: Simulator, write: Callable[..., None]) -> None:
    width = {"node": 1, "input": "width", "required": True, "min": 16, "max": 64, "description": "How wide."}
    write(graphs.picture(), parameters={"width": width})
    schema = own.get("/workflows/own").get_json()["parameters"]
    assert schema["required"] == ["width"]
    assert "default" not in schema["properties"]["width"]
    refused(own.post("/generate", json={}), sim, "needs width (How wide): give an integer from 16 to 64.")
    success(own.post("/generate", json={"width": 32}))


def test_a_required_parameter_has_no_default(own: FlaskClient, write: Callable[..., None]) -> None:
    width = {"node": 1, "input": "width", "required": True}
    for entry, said in (
        ({**width, "default": 32}, "but has a default"),
        ({**width, "required": "yes"}, "true or false"),
    ):
        write(graphs.picture(), parameters={"width": entry})
        assert said in own.get("/workflows").get_json()["broken"][0]["error"]
