"""Nodes that are left out of a template's graph while nothing is given for them."""

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
from tests.web.input_files import b64, png, sent_graph

SKIPPED = {"node": "20", "input": "stop_at_clip_layer", "type": "integer", "bypass": "clip"}
TEXT = {"node": 6, "input": "text"}


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path, sim: Simulator) -> Callable[..., FlaskClient]:
    """Makes a bridge whose template has an optional node, and the parameters given."""

    def made(**parameters: Any) -> FlaskClient:
        graph = graphs.txt2img(sim.checkpoints[0])
        skipping = {"stop_at_clip_layer": -2, "clip": ["4", 1]}
        graph["20"] = {"class_type": "CLIPSetLastLayer", "inputs": skipping}
        graph["6"]["inputs"]["clip"] = graph["7"]["inputs"]["clip"] = ["20", 0]
        (tmp_path / "own.json").write_text(json.dumps(graph))
        (tmp_path / "own.yaml").write_text(yaml.safe_dump({"parameters": {"prompt": TEXT, **parameters}}))
        return make_app(workflows_dir=tmp_path, default_workflow="own").test_client()

    return made


def clips(graph: dict[str, Any]) -> list[Any]:
    return [graph[node]["inputs"]["clip"] for node in ("6", "7")]


def test_a_node_is_there_only_if_its_parameter_is_given(own: Callable[..., FlaskClient], sim: Simulator) -> None:
    api = own(skip=SKIPPED)
    params = success(api.post("/generate", json={"prompt": "a cat"}))["params"]
    assert "skip" not in params
    assert clips(sent_graph(sim)) == [["4", 1]] * 2
    assert "20" not in sent_graph(sim)
    params = success(api.post("/generate", json={"prompt": "a cat", "params": {"skip": -3}}))["params"]
    assert params["skip"] == -3
    assert clips(sent_graph(sim)) == [["20", 0]] * 2
    assert sent_graph(sim)["20"]["inputs"] == {"stop_at_clip_layer": -3, "clip": ["4", 1]}


def test_a_node_stays_if_its_input_is_given_by_place(own: Callable[..., FlaskClient], sim: Simulator) -> None:
    body = {"prompt": "a cat", "params": {"20.stop_at_clip_layer": -4}}
    success(own(skip=SKIPPED).post("/generate", json=body))
    assert sent_graph(sim)["20"]["inputs"]["stop_at_clip_layer"] == -4


def test_its_schema_has_no_default(own: Callable[..., FlaskClient]) -> None:
    shown = own(skip=SKIPPED).get("/workflows/own").get_json()
    assert "default" not in shown["parameters"]["properties"]["skip"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bypass": "image"}, "bypass is the text 'image'; it must be an input of node 20 that is a link: clip."),
        ({"bypass": "stop_at_clip_layer"}, "it must be an input of node 20 that is a link: clip."),
        ({"default": -1}, "has bypass, so it must have one input, no default, and not be required."),
        ({"required": True}, "has bypass, so it must have one input, no default, and not be required."),
    ],
)
def test_what_cannot_be_bypassed(own: Callable[..., FlaskClient], wrong: dict[str, Any], said: str) -> None:
    broken = own(skip={**SKIPPED, **wrong}).get("/workflows").get_json()["broken"]
    assert said in broken[0]["error"]


def test_no_other_parameter_feeds_a_node_that_may_be_left_out(own: Callable[..., FlaskClient]) -> None:
    broken = own(skip=SKIPPED, other={**SKIPPED, "bypass": None}).get("/workflows").get_json()["broken"]
    assert "parameter skip has bypass, but other feeds node 20 too" in broken[0]["error"]


@pytest.mark.parametrize("workflow", ["txt2img", "img2img", "inpaint", "edit", "sdxl"])
def test_the_templates_take_clip_skip_and_are_as_before_without(
    api: FlaskClient, sim: Simulator, workflow: str
) -> None:
    sim.checkpoints = ["v1-5-pruned-emaonly-fp16.safetensors", "sd_xl_base_1.0.safetensors"]
    needed = {"img2img": ("image",), "edit": ("image",), "inpaint": ("image", "mask")}.get(workflow, ())
    body = {"workflow": workflow, "prompt": "a cat", "images": {name: b64(png()) for name in needed}}
    success(api.post("/generate", json={**body, "steps": 1}))
    assert clips(sent_graph(sim)) == [["4", 1]] * 2
    assert all(node["class_type"] != "CLIPSetLastLayer" for node in sent_graph(sim).values())
    success(api.post("/generate", json={**body, "steps": 1, "params": {"clip_skip": -2}}))
    assert clips(sent_graph(sim)) == [["17", 0]] * 2
    refused = failure(api.post("/generate", json={**body, "params": {"clip_skip": 2}}), 400, "invalid_request")
    assert refused["error"] == "clip_skip is 2; it must be an integer from -24 to -1."
