"""What a workflow needs and whether ComfyUI has it: models, node classes; and how its mask is read."""

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
from tests.web.policies import SHOP, MakeApi

SHIPPED = "v1-5-pruned-emaonly-fp16.safetensors"


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    return make_app(workflows_dir=tmp_path, default_workflow="own").test_client()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    def write(graph: dict[str, Any], **said: Any) -> None:
        (tmp_path / "own.json").write_text(json.dumps(graph))
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(said))

    return write


def needs(api: FlaskClient, name: str = "own") -> dict[str, Any]:
    response = api.get(f"/workflows/{name}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    return body


def test_a_model_that_is_there_is_installed(api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = [SHIPPED, "b.safetensors"]
    (model,) = needs(api, "txt2img")["models"]
    assert (model["name"], model["installed"], model["used_instead"]) == (SHIPPED, True, None)


def test_a_model_that_is_not_there_is_not(api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = ["a.safetensors", "b.safetensors"]
    body = needs(api, "txt2img")
    (model,) = body["models"]
    assert (model["installed"], model["used_instead"]) == (False, None)
    assert model["url"].startswith("https://huggingface.co/")
    assert "default" not in body["parameters"]["properties"]["model"]
    sim.checkpoints = []
    (model,) = needs(api, "txt2img")["models"]
    assert (model["installed"], model["used_instead"]) == (False, None)


def test_the_only_model_is_used_instead_as_a_request_shows(api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = ["random15.safetensors"]
    body = needs(api, "txt2img")
    (model,) = body["models"]
    assert (model["installed"], model["used_instead"]) == (False, "random15.safetensors")
    assert body["parameters"]["properties"]["model"]["default"] == "random15.safetensors"
    made = api.post("/generate", json={"prompt": "x", "width": 64, "height": 64, "steps": 1}).get_json()
    assert made["params"]["model"] == "random15.safetensors"


def test_models_that_the_graph_names_are_needed_too(
    own: FlaskClient, sim: Simulator, write: Callable[..., None]
) -> None:
    sim.checkpoints = ["folder/here.safetensors", "other.safetensors"]
    graph = graphs.txt2img("folder\\here.safetensors")  # as Windows writes it
    graph["10"] = graphs.node("VAELoader", vae_name="gone-vae.safetensors")
    graph["8"]["inputs"]["vae"] = ["10", 0]
    write(
        graph,
        models=[{"name": "nobody-names.safetensors", "directory": "checkpoints"}, {"name": "gone-vae.safetensors"}],
    )
    found = {each["name"]: each for each in needs(own)["models"]}
    assert {name: each["installed"] for name, each in found.items()} == {
        "nobody-names.safetensors": False,
        "gone-vae.safetensors": False,
        "folder\\here.safetensors": True,
    }
    assert found["folder\\here.safetensors"]["directory"] == "checkpoints"


def test_node_classes_that_comfyui_lacks_are_missing(own: FlaskClient, write: Callable[..., None]) -> None:
    graph = graphs.picture()
    write(graph)
    assert needs(own)["missing_nodes"] == []
    write({**graph, "8": graphs.node("OddPackNode", x=5), "9": graphs.node("AnOddPackNode", x=5)})
    assert needs(own)["missing_nodes"] == ["AnOddPackNode", "OddPackNode"]


def test_without_comfyui_nothing_is_known(api: FlaskClient, sim: Simulator) -> None:
    sim.kill()
    body = needs(api, "txt2img")
    (model,) = body["models"]
    assert (model["name"], model["installed"], model["used_instead"]) == (SHIPPED, None, None)
    assert body["missing_nodes"] is None


def test_the_server_that_has_all_of_it_counts(make_app: Callable[..., Flask], sim: Simulator) -> None:
    sim.checkpoints = ["a.safetensors", "b.safetensors"]
    with Simulator() as other:
        other.checkpoints = [SHIPPED, "b.safetensors"]
        api = make_app(comfyui_url=f"{sim.url},{other.url}").test_client()
        (model,) = needs(api, "txt2img")["models"]
    assert model["installed"] is True


@pytest.mark.parametrize(
    ("name", "mask"), [("txt2img", None), ("inpaint", "red"), ("img2img", None), ("upscale", None)]
)
def test_a_template_tells_how_its_mask_is_read(api: FlaskClient, name: str, mask: str | None) -> None:
    assert needs(api, name)["mask"] == mask


def test_a_converted_graph_tells_the_same(api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = ["random15.safetensors"]
    graph = {**graphs.txt2img("gone.safetensors"), "99": graphs.node("OddPackNode", x=5)}
    body = api.post("/convert", json={"workflow": graph}).get_json()
    (model,) = body["models"]
    # a graph of the caller's is run as it is
    assert (model["name"], model["installed"], model["used_instead"]) == ("gone.safetensors", False, None)
    assert (body["missing_nodes"], body["mask"], body["required"]) == (["OddPackNode"], None, [])
    assert body["tasks"] == ["txt2img"]


def test_what_a_server_has_is_told_to_those_only_who_may_know(api_for: MakeApi) -> None:
    body = api_for(server_info=False).post("/convert", json=graphs.txt2img("x.safetensors"), headers=SHOP).get_json()
    assert ([each["installed"] for each in body["models"]], body["missing_nodes"]) == ([None], None)
