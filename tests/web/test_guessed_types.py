"""Parameters whose owner states no type: the value in the graph shows one, and the server knows better."""

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
from tests.web.answers import failure, success
from tests.web.input_files import sent_graph

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8}},
    "3": {"class_type": "SaveVideo", "inputs": {"filename_prefix": "v", "format": "mp4", "codec": "h264"}},
}
GRAPH["3"]["inputs"]["video"] = ["2", 0]  # type: ignore[index]
TEMPO = {"node": 2, "input": "fps"}
EXTENT = {"node": 1, "input": "width"}


@pytest.fixture
def own(make_app: Callable[..., Flask], tmp_path: Path) -> Callable[..., FlaskClient]:
    def made(**parameters: Any) -> FlaskClient:
        (tmp_path / "own.json").write_text(json.dumps(GRAPH))
        (tmp_path / "own.yaml").write_text(yaml.safe_dump({"parameters": parameters}))
        return make_app(workflows_dir=tmp_path, default_workflow="own").test_client()

    return made


def test_a_fraction_is_taken_where_the_server_takes_one(own: Callable[..., FlaskClient], sim: Simulator) -> None:
    api = own(tempo=TEMPO, extent=EXTENT)
    success(api.post("/generate", json={"params": {"tempo": 7.5}}))
    assert sent_graph(sim)["2"]["inputs"]["fps"] == 7.5
    success(api.post("/generate", data={"params.tempo": "8.25"}))
    assert sent_graph(sim)["2"]["inputs"]["fps"] == 8.25
    refused = failure(api.post("/generate", json={"params": {"extent": 64.5}}), 400, "invalid_request")
    assert refused["error"].startswith("extent is 64.5; it must be an integer")
    shown = api.get("/workflows/own").get_json()["parameters"]["properties"]
    assert (shown["tempo"]["type"], shown["extent"]["type"]) == ("number", "integer")


def test_a_fraction_is_refused_where_the_server_takes_none(own: Callable[..., FlaskClient]) -> None:
    api = own(scale={"node": 1, "input": "width"})  # by its name it might be a fraction
    failure(api.post("/generate", json={"params": {"scale": 64.5}}), 400, "invalid_request")
    assert api.get("/workflows/own").get_json()["parameters"]["properties"]["scale"]["type"] == "integer"


def test_a_stated_type_stays(own: Callable[..., FlaskClient]) -> None:
    api = own(tempo={**TEMPO, "type": "integer"})
    refused = failure(api.post("/generate", json={"params": {"tempo": 7.5}}), 400, "invalid_request")
    assert refused["error"].startswith("tempo is 7.5; it must be an integer")
    assert api.get("/workflows/own").get_json()["parameters"]["properties"]["tempo"]["type"] == "integer"
