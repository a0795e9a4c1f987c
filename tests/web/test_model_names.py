"""Models that a graph names with other slashes than the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.input_files import sent_graph

LORA = {"strength_model": 1.0, "strength_clip": 1.0, "model": ["4", 0], "clip": ["4", 1]}


@pytest.fixture(params=["/", "\\"], ids=["posix", "windows"])
def slash(request: pytest.FixtureRequest, sim: Simulator) -> str:
    """What the server writes between folders; `sim` has a checkpoint and a LoRA in folders."""
    slash: str = request.param
    sim.checkpoints = ["plain.safetensors", f"SDXL{slash}copax.safetensors"]
    sim.models["loras"][:] = [f"style{slash}deep{slash}ink.safetensors"]
    return slash


def graph_of(checkpoint: str, lora: str) -> dict[str, Any]:
    graph = graphs.txt2img(checkpoint)
    graph["10"] = graphs.node("LoraLoader", lora_name=lora, **LORA)
    graph["3"]["inputs"]["model"] = ["10", 0]
    return graph


def test_the_models_of_a_graph_are_named_as_the_server_does(api: FlaskClient, sim: Simulator, slash: str) -> None:
    for other in ("/", "\\"):
        graph = graph_of(f"SDXL{other}copax.safetensors", f"style{other}deep{other}ink.safetensors")
        body = success(api.post("/generate", json={"workflow": graph}))
        sent = sent_graph(sim)
        assert sent["4"]["inputs"]["ckpt_name"] == f"SDXL{slash}copax.safetensors"
        assert sent["10"]["inputs"]["lora_name"] == f"style{slash}deep{slash}ink.safetensors"
        assert body["warnings"] == []


def test_so_are_those_of_parameters_and_overrides(api: FlaskClient, sim: Simulator, slash: str) -> None:
    other = {"/": "\\", "\\": "/"}[slash]
    params = {"model": f"SDXL{other}copax.safetensors", "10.lora_name": f"style{other}deep{other}ink.safetensors"}
    asked = {"workflow": graph_of("plain.safetensors", "none"), "params": params}
    said = success(api.post("/generate", json=asked))["params"]
    assert said == {name: value.replace(other, slash) for name, value in params.items()}
    template = {"prompt": "a cat", "steps": 1, "width": 64, "height": 64, "model": params["model"]}
    assert success(api.post("/generate", json=template))["params"]["model"] == f"SDXL{slash}copax.safetensors"


def test_so_are_those_that_a_template_lists(
    make_app: Callable[..., Flask], tmp_path: Path, sim: Simulator, slash: str
) -> None:
    checkpoint = f"SDXL{slash}copax.safetensors"
    (tmp_path / "own.json").write_text(json.dumps(graphs.txt2img("plain.safetensors")))
    model = {"node": 4, "input": "ckpt_name", "choices": ["SDXL/copax.safetensors", "plain.safetensors"]}
    (tmp_path / "own.yaml").write_text(json.dumps({"parameters": {"model": model}}))
    api = make_app(workflows_dir=tmp_path, default_workflow="own").test_client()
    body = success(api.post("/generate", json={"model": "SDXL\\copax.safetensors"}))
    assert body["params"]["model"] == sent_graph(sim)["4"]["inputs"]["ckpt_name"] == checkpoint


def test_another_file_of_the_same_name_is_not_taken(api: FlaskClient, sim: Simulator, slash: str) -> None:
    graph = graph_of("plain.safetensors", "other\\ink.safetensors")
    failure(api.post("/generate", json={"workflow": graph}), 400, "invalid_workflow")


def test_names_without_a_folder_cost_no_question(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": graphs.txt2img(sim.checkpoints[0])}))
    assert not [each.path for each in sim.requests if "CheckpointLoader" in each.path]
