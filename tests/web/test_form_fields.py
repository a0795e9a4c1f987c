"""The fields of a form: what a text means, depending on where it stands."""

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
from tests import graphs
from tests.web.answers import image, success
from tests.web.input_files import part, png, sent_graph

SQUARE = """
description: A square picture.
parameters:
  prompt: {node: 6, input: text}
  size: {targets: [{node: 5, input: width}, {node: 5, input: height}], type: integer, choices: [64, 128], default: 64}
  caption: {node: 9, input: filename_prefix, type: string}
"""


@pytest.fixture
def square(make_app: Callable[..., Flask], sim: Simulator, tmp_path: Path) -> FlaskClient:
    """A bridge with one template, whose parameters are none that requests have fields for."""
    (tmp_path / "square.json").write_text(json.dumps(graphs.txt2img(sim.checkpoints[0])))
    (tmp_path / "square.yaml").write_text(SQUARE)
    return make_app(workflows_dir=tmp_path, default_workflow="square").test_client()


def send(api: FlaskClient, **fields: Any) -> dict[str, Any]:
    return success(api.post("/generate", data=fields, content_type="multipart/form-data"))


def test_what_is_no_field_is_a_parameter_of_the_template(square: FlaskClient, sim: Simulator) -> None:
    body = send(square, size="128")
    assert image(body["images"][0]).size == (128, 128)
    assert body["params"]["size"] == 128


@pytest.mark.parametrize("text", ["2024", "true", '"quoted"', "null", "1.50"])
def test_a_text_parameter_keeps_its_text(square: FlaskClient, sim: Simulator, text: str) -> None:
    assert send(square, caption=text, prompt="x")["params"]["caption"] == text
    assert send(square, **{"params.caption": text})["params"]["caption"] == text


@pytest.mark.parametrize("name", ["3.steps", "params.3.steps", "params.steps", "steps"])
@pytest.mark.parametrize("whole", [True, False])
def test_dots_lead_into_an_object_or_a_node(api: FlaskClient, sim: Simulator, name: str, whole: bool) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    fields = {"workflow": json.dumps(graph) if whole else "txt2img", "prompt": "x", name: "3"}
    assert send(api, **fields)
    assert sent_graph(sim)["3"]["inputs"]["steps"] == 3


def test_inputs_of_nodes_are_of_the_type_that_they_are(api: FlaskClient, sim: Simulator) -> None:
    fields = {"6.text": "2024", "3.cfg": "6.5", "3.sampler_name": "euler", "steps": "2"}
    send(api, workflow="txt2img", **fields)
    assert sent_graph(sim)["6"]["inputs"]["text"] == "2024"
    assert sent_graph(sim)["3"]["inputs"]["cfg"] == 6.5


def test_output_is_given_by_its_fields(api: FlaskClient) -> None:
    fields = {"output.format": "webp", "output.quality": "80", "output.lossless": "True", "output.nodes": '["2"]'}
    body = send(api, workflow=json.dumps(graphs.picture()), **fields, output='{"max_size": 32}')
    assert base64.b64decode(body["images"][0])[8:12] == b"WEBP"
    assert image(body["images"][0]).size == (32, 24)


@pytest.mark.parametrize("text", ['"quoted"', '{"a": 1}', "{a} cat", '{"a": {"b": 1}}', "{", "[1]", "7", "null"])
def test_a_text_that_is_no_graph_stays_a_text(api: FlaskClient, sim: Simulator, text: str) -> None:
    assert send(api, prompt=text, steps="1")["params"]["prompt"] == text
    assert sent_graph(sim)["6"]["inputs"]["text"] == text


def test_an_empty_box_is_a_field_that_is_not_given(api: FlaskClient, sim: Simulator) -> None:
    empty = (
        "workflow",
        "negative_prompt",
        "seed",
        "model",
        "on_timeout",
        "output",
        "output.format",
        "request",
        "size",
    )
    body = send(api, prompt="x", steps="1", **dict.fromkeys(empty, ""))
    assert body["params"]["prompt"] == "x"
    assert send(api, workflow="img2img", image=part(png()), steps="1", negative_prompt=" ")
