"""Presets: what the owner of a template sets together under one name."""

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
from tests.web.policies import KEYS, SHOP

PARAMETERS = {
    "prompt": {"node": 6, "input": "text"},
    "steps": {"node": 3, "input": "steps", "max": 50},
    "cfg": {"node": 3, "input": "cfg"},
    "size": {"targets": [{"node": 5, "input": "width"}, {"node": 5, "input": "height"}]},
}
PRESETS = {
    "quality": {"low": {"steps": 3}, "high": {"steps": 9, "cfg": 5.5}},
    "speed": {"fast": {"steps": 2}},
    "form": {"small": {"5.width": 32}, "large": {"size": 128}},
}


@pytest.fixture
def write(tmp_path: Path, sim: Simulator) -> Callable[..., None]:
    """Writes a template `own`, and what its parameter file says."""

    def write(**said: Any) -> None:
        (tmp_path / "own.json").write_text(json.dumps(graphs.txt2img(sim.checkpoints[0])))
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(said, sort_keys=False))

    return write


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path, write: Callable[..., None]) -> FlaskClient:
    write(parameters=PARAMETERS, presets=PRESETS)
    return make_app(workflows_dir=tmp_path, default_workflow="own").test_client()


def used(api: FlaskClient, **body: Any) -> dict[str, Any]:
    """The parameters that a request came to."""
    params: dict[str, Any] = success(api.post("/generate", json={"prompt": "a cat", **body}))["params"]
    return params


def test_a_preset_sets_its_parameters(own: FlaskClient, sim: Simulator) -> None:
    params = used(own, presets={"quality": "high"})
    assert (params["steps"], params["cfg"]) == (9, 5.5)
    (entry,) = sim.history.values()
    assert entry["prompt"][2]["3"]["inputs"]["steps"] == 9


def test_without_it_the_template_s_own_values_hold(own: FlaskClient) -> None:
    params = used(own)
    assert (params["steps"], params["cfg"]) == (2, 7.0)


@pytest.mark.parametrize("given", [{"steps": 4}, {"params": {"steps": 4}}, {"params": {"3.steps": 4}}])
def test_what_the_request_gives_wins_over_its_preset(own: FlaskClient, given: dict[str, Any]) -> None:
    params = used(own, presets={"quality": "high"}, **given)
    assert (params["steps"], params["cfg"]) == (4, 5.5)


def test_of_two_presets_that_set_the_same_the_later_one_in_the_file_wins(own: FlaskClient) -> None:
    assert used(own, presets={"speed": "fast", "quality": "high"})["steps"] == 2


def test_a_preset_may_set_an_input_that_is_no_parameter(own: FlaskClient) -> None:
    assert used(own, presets={"form": "small"})["5.width"] == 32
    assert used(own, presets={"form": "small"}, params={"size": 96})["size"] == 96


def test_a_form_has_presets_too(own: FlaskClient) -> None:
    for name in ("presets.quality", "presets[quality]"):
        said = success(own.post("/generate", data={"prompt": "a cat", name: "low"}))
        assert said["params"]["steps"] == 3


@pytest.mark.parametrize(
    ("presets", "said"),
    [
        ({"qualty": "low"}, "presets has the text 'qualty'; the workflow own has quality, speed, form."),
        ({"quality": "lower"}, "presets: quality is the text 'lower'; the workflow own has low, high."),
        ({"quality": 3}, """presets must be an object of texts, such as {"quality": "high"}, not {'quality': 3}."""),
        ("low", """presets must be an object of texts, such as {"quality": "high"}, not 'low'."""),
    ],
)
def test_an_unknown_one_is_refused_with_those_that_there_are(own: FlaskClient, presets: Any, said: str) -> None:
    answer = failure(own.post("/generate", json={"prompt": "a cat", "presets": presets}), 400, "invalid_request")
    assert answer["error"] == said


def test_a_whole_graph_has_none(own: FlaskClient) -> None:
    body = {"workflow": graphs.picture(), "presets": {"quality": "low"}}
    said = failure(own.post("/generate", json=body), 400, "invalid_request")["error"]
    assert said == "presets has the text 'quality', but a whole graph has no presets."


def test_a_caller_with_nothing_but_parameters_may_use_them(
    make_app: Callable[..., Flask], own: FlaskClient, policy_file: Callable[..., str], tmp_path: Path
) -> None:
    policy = policy_file(shop={"workflows": ["own"], "max_steps": 5})
    api = make_app(workflows_dir=tmp_path, api_keys=KEYS, policy_file=policy).test_client()
    asked = {"workflow": "own", "presets": {"form": "small"}}
    assert success(api.post("/generate", json=asked, headers=SHOP))["params"]["5.width"] == 32

    beyond = {"workflow": "own", "presets": {"quality": "high"}}
    said = failure(api.post("/generate", json=beyond, headers=SHOP), 403, "forbidden")["error"]
    assert "at most 5 as steps, not 9" in said


def test_a_repeat_with_another_preset_is_another_request(own: FlaskClient) -> None:
    key = {"Idempotency-Key": "one"}
    success(own.post("/generate", json={"presets": {"quality": "low"}}, headers=key))
    again = own.post("/generate", json={"presets": {"quality": "high"}}, headers=key)
    failure(again, 409, "idempotency_conflict")


def test_a_workflow_shows_its_presets(own: FlaskClient) -> None:
    assert own.get("/workflows/own").get_json()["presets"] == PRESETS


def test_presets_set_parameters_that_were_found_too(own: FlaskClient, write: Callable[..., None]) -> None:
    write(description="Found.", presets={"quality": {"low": {"steps": 1, "sampler_name": "heun"}}})
    params = used(own, presets={"quality": "low"})
    assert (params["steps"], params["sampler_name"]) == (1, "heun")


@pytest.mark.parametrize(
    ("presets", "said"),
    [
        ([], "own.yaml: presets is a list; it must be an object with values by choice."),
        ({"quality": {}}, "own.yaml: presets, quality is an object; it must be an object with parameters by value."),
        ({"quality": {"low": 8}}, "own.yaml: presets, quality, low is 8; it must be an object"),
        ({"quality": {True: {"steps": 8}}}, "has the name true, which is no text; put it in quotes."),
        ({"quality": {"low": {"stpes": 8}}}, "own.yaml: presets, quality, low: stpes is not a parameter"),
        (
            {"quality": {"low": {"steps": 80}}},
            "presets, quality, low: steps is 80; it must be an integer from 1 to 50.",
        ),
        (
            {"quality": {"low": {"3.speed": 8}}},
            "presets, quality, low: 3.speed: node 3 (KSampler) has no input speed",
        ),
        ({"quality": {"low": {"3.cfg": float("nan")}}}, "3.cfg is nan"),
    ],
)
def test_what_a_template_can_t_take_makes_it_broken(
    own: FlaskClient, write: Callable[..., None], presets: Any, said: str
) -> None:
    write(parameters=PARAMETERS, presets=presets)
    (broken,) = own.get("/workflows").get_json()["broken"]
    assert broken["name"] == "own"
    assert said in broken["error"]


def test_the_shipped_templates_have_a_quality(api: FlaskClient) -> None:
    for name in ("txt2img", "sdxl", "flux", "img2img", "inpaint", "edit"):
        described = api.get(f"/workflows/{name}").get_json()
        steps = {value: params["steps"] for value, params in described["presets"]["quality"].items()}
        assert (
            steps["low"]
            < steps["medium"]
            == described["parameters"]["properties"]["steps"]["default"]
            < steps["high"]
        )
