"""Fields of a JSON body whose values are written as texts: objects and lists as JSON text, and a seed left empty."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, image, success
from tests.web.input_files import b64, loading, png, sent_graph

SMALL = {"prompt": "x", "width": 64, "height": 64, "steps": 1}


def test_objects_and_lists_may_be_json_texts(api: FlaskClient, sim: Simulator) -> None:
    asked = {
        "workflow": loading("cat.png"),
        "params": json.dumps({"11.filename_prefix": "of-a-text"}),
        "output": json.dumps({"max_size": 32}),
        "images": " " + json.dumps([{"name": "cat.png", "image": b64(png())}]),
        "extra_data": json.dumps({"note": "kept"}),
    }
    body = success(api.post("/generate", json=asked))
    assert max(image(body["images"][0]).size) <= 32
    assert sent_graph(sim)["10"]["inputs"]["image"].startswith("comfybridge/")
    [queued] = [each for each in sim.requests if each.path == "/prompt" and each.method == "POST"]
    assert queued.body["extra_data"]["note"] == "kept"


@pytest.mark.parametrize("text", ["", "{", "steps=4", "[1]", "5"])
def test_a_text_that_is_no_object_is_refused(api: FlaskClient, text: str) -> None:
    body = failure(api.post("/generate", json={**SMALL, "params": text}), 400, "invalid_request")
    assert body["error"].startswith("params must be an object, not ")


def test_what_json_does_not_have_is_refused_in_texts_too(api: FlaskClient) -> None:
    body = failure(api.post("/generate", json={**SMALL, "params": '{"cfg": NaN}'}), 400, "invalid_request")
    assert "number" in body["error"]


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("asked", [{"seed": "?"}, {"params": {"seed": "?"}}, {"params": {"3.seed": "?"}}])
def test_an_empty_seed_is_drawn(api: FlaskClient, asked: dict[str, Any], empty: str) -> None:
    given = json.loads(json.dumps(asked).replace("?", empty))
    seeds = {success(api.post("/generate", json={**SMALL, **given}))["seed"] for _ in range(2)}
    assert len(seeds) == 2


def test_an_empty_seed_of_a_graph_is_drawn(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    body = success(api.post("/generate", json={"workflow": graph, "steps": 1, "seed": ""}))
    assert body["seed"] == sent_graph(sim)["3"]["inputs"]["seed"] != graph["3"]["inputs"]["seed"]
