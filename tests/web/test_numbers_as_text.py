"""Numbers, and true and false, that come as texts in JSON: read where they are wanted, and left alone elsewhere."""

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
from tests.web.answers import failure, image, success
from tests.web.input_files import sent_graph

SMALL = {"width": "64", "height": " 64 ", "steps": "1"}
MIXED = """
parameters:
  prompt: {node: 6, input: text}
  seed: {node: 3, input: seed}
  size: {targets: [{node: 5, input: width}, {node: 5, input: height}], type: integer, choices: [64, 128], default: 64}
  strength: {node: 3, input: cfg, type: number}
  caption: {node: 9, input: filename_prefix, type: string}
"""


def test_fields_and_parameters_that_are_numbers(api: FlaskClient, sim: Simulator) -> None:
    asked = {"prompt": "2024", **SMALL, "seed": "513", "cfg": "6.5", "timeout": "60", "retries": "1", "number": "-1"}
    body = success(api.post("/generate", json={**asked, "params": {"denoise": "1.0", "batch_size": "2"}}))
    assert body["seed"] == 513
    assert len(body["images"]) == 2
    graph = sent_graph(sim)
    assert {name: graph["3"]["inputs"][name] for name in ("steps", "cfg", "seed", "denoise")} == {
        "steps": 1,
        "cfg": 6.5,
        "seed": 513,
        "denoise": 1.0,
    }
    assert graph["6"]["inputs"]["text"] == "2024"


@pytest.mark.parametrize("seed", ["-1", "-1.0"])
def test_a_seed_of_minus_one_is_drawn(api: FlaskClient, seed: str) -> None:
    for asked in ({"seed": seed}, {"params": {"seed": seed}}):
        assert success(api.post("/generate", json={"prompt": "x", **SMALL, **asked}))["seed"] >= 0


def test_the_largest_seed_keeps_all_its_digits(api: FlaskClient) -> None:
    largest = 2**64 - 1
    assert success(api.post("/generate", json={"prompt": "x", **SMALL, "seed": str(largest)}))["seed"] == largest


def test_inputs_of_a_graph_are_what_they_hold(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    graph["9"]["inputs"]["extra"] = True
    params = {"3.steps": "1", "3.cfg": "5", "6.text": "8", "9.filename_prefix": "2024", "9.extra": "false"}
    success(api.post("/generate", json={"workflow": graph, "params": params}))
    sent = sent_graph(sim)
    assert (sent["3"]["inputs"]["steps"], sent["3"]["inputs"]["cfg"]) == (1, 5)
    assert sent["6"]["inputs"]["text"] == "8"
    assert sent["9"]["inputs"]["filename_prefix"].endswith("/2024")
    assert sent["9"]["inputs"]["extra"] is False


def test_parameters_of_a_template_are_of_their_types(
    make_app: Callable[..., Flask], sim: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "mixed.json").write_text(json.dumps(graphs.txt2img(sim.checkpoints[0])))
    (tmp_path / "mixed.yaml").write_text(MIXED)
    api = make_app(workflows_dir=tmp_path, default_workflow="mixed").test_client()
    params = {"size": "128", "strength": "1e1", "caption": "2024", "prompt": "1.50"}
    used = success(api.post("/generate", json={"params": params}))["params"]
    assert {name: used[name] for name in params} == {
        "size": 128,
        "strength": 10.0,
        "caption": "2024",
        "prompt": "1.50",
    }


@pytest.mark.parametrize("text", ["true", "TRUE", "on", "1", "yes"])
def test_true_is_written_in_many_ways(api: FlaskClient, text: str) -> None:
    asked = {"workflow": graphs.picture(), "front": text, "output": {"lossless": text, "format": "webp"}}
    success(api.post("/generate", json=asked))


def test_output_options_that_are_numbers(api: FlaskClient) -> None:
    output = {"format": "jpeg", "quality": "80", "max_size": "32", "previews": "false"}
    body = success(api.post("/generate", json={"workflow": graphs.picture(), "output": output}))
    assert max(image(body["images"][0]).size) == 32


def test_keepalive_as_a_text_keeps_alive(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    response = api.post("/generate", json={"workflow": graphs.picture(), "keepalive": "0.1"})
    assert next(iter(response.iter_encoded())) == b" "
    sim.release()
    assert json.loads(response.data)["status"] == "success"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"steps": "2.5"}, "steps must be an integer, not 2.5"),
        ({"steps": ""}, "steps must be an integer, not ''"),
        ({"steps": "0x10"}, "steps must be an integer, not '0x10'"),
        ({"steps": "1_000"}, "steps must be an integer, not '1_000'"),
        ({"steps": "\u0661"}, "steps must be an integer"),
        ({"steps": "0"}, "steps is 0"),
        ({"seed": "9" * 30}, "seed must be an integer"),
        ({"seed": "9" * 5000}, "seed must be an integer"),
        ({"cfg": "NaN"}, "cfg must be a number"),
        ({"cfg": "Infinity"}, "cfg must be a number"),
        ({"cfg": "1e999"}, "cfg must be a number"),
        ({"timeout": "0"}, "timeout must be greater than 0, not '0'"),
        ({"timeout": "1e9"}, "at most 3600 seconds"),
        ({"output": {"quality": "101"}}, "output.quality must be less than or equal to 100"),
        ({"output": {"lossless": "maybe"}}, "output.lossless must be true or false, not 'maybe'"),
        ({"params": {"steps": "many"}}, "steps is the text 'many'; it must be an integer"),
        ({"params": {"3.steps": "9" * 30}}, "steps"),
        ({"steps": "3", "params": {"steps": "4"}}, "steps is 3, but params gives steps as '4'"),
    ],
)
def test_a_text_that_is_no_such_number_is_refused(
    api: FlaskClient, sim: Simulator, asked: dict[str, Any], said: str
) -> None:
    response = api.post("/generate", json={"prompt": "x", **asked})
    assert said in response.get_json()["error"]
    failure(response, 400, response.get_json()["type"])
    assert sim.history == {}


def test_a_number_that_is_given_twice_may_be_a_text_once(api: FlaskClient) -> None:
    success(api.post("/generate", json={"prompt": "x", **SMALL, "params": {"steps": 1, "width": "64"}}))
