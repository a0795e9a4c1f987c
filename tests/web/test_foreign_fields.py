"""Fields of other tools beside a graph: ignored if they ask for nothing, and else a warning."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.input_files import b64, loading, png, sent_graph

GRAPH = graphs.picture()
URLENCODED = "application/x-www-form-urlencoded"
WEBHOOK = "webhook is not used: the answer comes in this response; POST /jobs has webhook."
SEEDS = 'randomise_seeds is not used: the graph keeps its seeds; "seed": -1 draws one.'

SENT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a queued job": ({"id": "x", "webhook": "http://shop.example", "input": {"workflow": GRAPH}}, [WEBHOOK]),
    "a job that names a template": (
        {
            "id": "x",
            "webhook": "http://a.example",
            "input": {"workflow": "txt2img", "prompt": "a fox", "steps": 1, "model": "demo.safetensors"},
        },
        [WEBHOOK],
    ),
    "seeds to draw": ({"input": {"workflow_json": json.dumps(GRAPH), "randomise_seeds": True}}, [SEEDS]),
    "seeds to draw in a field": ({"workflow": {"input": {"workflow": GRAPH, "randomise_seeds": True}}}, [SEEDS]),
    "what asks for nothing": (
        {"input": {"request_id": "", "workflow_json": GRAPH, "randomise_seeds": False, "s3": {}, "webhook": None}},
        [],
    ),
    "a newer client of ComfyUI": ({"prompt": GRAPH, "prompt_id": "7d0c", "client_id": "x"}, []),
    "storage and a webhook": (
        {"id": "x", "prompt": GRAPH, "webhook": "http://a.example", "s3": {"bucket": "b"}},
        [WEBHOOK, "s3 is not used: the outputs come in this response."],
    ),
    "a graph with an id": ({**GRAPH, "id": "x", "status": "IN_QUEUE"}, []),
    "what no list has": (
        {"input": {"workflow": GRAPH, "gpu_pool": "fast"}, "delayTime": 5},
        ["gpu_pool is not used: there is no such field."],
    ),
}


@pytest.mark.parametrize("path", ["/history/{}", "/api/jobs/{}"])
def test_what_comfyui_keeps_of_a_prompt_can_be_sent_as_it_is(api: FlaskClient, sim: Simulator, path: str) -> None:
    made = success(api.post("/generate", json={"workflow": GRAPH}))
    assert sim.history  # before that, ComfyUI tells less of a job
    with urlopen(sim.url + path.format(made["prompt_id"])) as kept:
        again = success(api.post("/generate", data=kept.read()))
    assert again["images"]
    assert again["warnings"] == []


@pytest.mark.parametrize(("asked", "warnings"), SENT.values(), ids=SENT.keys())
def test_fields_of_other_tools_stop_nothing(api: FlaskClient, asked: dict[str, Any], warnings: list[str]) -> None:
    body = success(api.post("/generate", json=asked))
    assert body["images"]
    assert body["warnings"] == warnings
    assert success(api.get(f"/results/{body['prompt_id']}"))["warnings"] == warnings


def test_the_warnings_travel_with_bytes(api: FlaskClient) -> None:
    asked = {"webhook": "http://shop.example", "input": {"workflow": GRAPH}}
    response = api.post("/generate", json=asked, headers={"Accept": "image/*"})
    assert json.loads(response.headers["X-Warnings"]) == [WEBHOOK]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"input": {"workflow": GRAPH, "sed": 5}}, "Unknown field 'sed' (did you mean 'seed'?)"),
        ({"prompt": GRAPH, "zoom": 3}, "Unknown field 'zoom'"),
        ({"prompt": "a cat", "id": "x"}, "Unknown field 'id'"),
        ({"input": {"workflow": "txt2img", "prompt": "a cat", "zoom": 3}}, "Unknown field 'zoom'"),
        ({"input": {"workflow": GRAPH}, **{f"x{number}": 1 for number in range(1000)}}, "The body has 1001 fields"),
    ],
)
def test_what_may_be_meant_for_the_bridge_is_still_refused(
    api: FlaskClient, sim: Simulator, asked: dict[str, Any], said: str
) -> None:
    assert said in failure(api.post("/generate", json=asked), 400, "invalid_request")["error"]
    assert sim.requests == []


def test_a_parameter_in_a_job_is_shown_its_place_whatever_its_name_is(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    (tmp_path / "poster.json").write_text(json.dumps(GRAPH))
    (tmp_path / "poster.yaml").write_text("parameters: {title: {node: 2, input: filename_prefix}}")
    api = make_app(workflows_dir=str(tmp_path)).test_client()
    body = failure(
        api.post("/generate", json={"input": {"workflow": "poster", "title": "x"}}), 400, "invalid_request"
    )
    assert body["error"].startswith("Put title into params")


def test_a_repeat_may_leave_them_out(api: FlaskClient) -> None:
    ids = {
        success(api.post("/generate", json=asked, headers={"Idempotency-Key": "k"}))["prompt_id"]
        for asked in ({"input": {"workflow": GRAPH}, "webhook": "http://a.example"}, {"workflow": GRAPH})
    }
    assert len(ids) == 1


def posted(api: FlaskClient, kind: str, **fields: str) -> dict[str, Any]:
    data = urlencode(fields) if kind == URLENCODED else fields
    return success(api.post("/generate", data=data, content_type=kind))


@pytest.mark.parametrize("kind", [URLENCODED, "multipart/form-data"])
@pytest.mark.parametrize(
    "fields",
    [
        {"input": {"workflow": GRAPH}},
        {"input": {"workflow_json": json.dumps(GRAPH), "randomise_seeds": False}},
        {"input": {"prompt": GRAPH}},
        {"input": GRAPH},
        {"workflow_json": GRAPH},
        {"output": GRAPH},
        {"data": {"graph": GRAPH}},
    ],
)
def test_a_form_may_hold_what_a_json_body_may(
    api: FlaskClient, sim: Simulator, kind: str, fields: dict[str, Any]
) -> None:
    texts = {name: json.dumps(value) for name, value in fields.items()}
    assert posted(api, kind, **texts, **{"1.width": "32"})["images"]
    assert sent_graph(sim)["1"]["inputs"]["width"] == 32


@pytest.mark.parametrize("kind", [URLENCODED, "multipart/form-data"])
def test_a_form_s_job_brings_its_fields(api: FlaskClient, sim: Simulator, kind: str) -> None:
    images = [{"name": "cat.png", "image": b64(png())}]
    posted(api, kind, input=json.dumps({"workflow": loading("cat.png"), "images": images}))
    assert sent_graph(sim)["10"]["inputs"]["image"].startswith("comfybridge/")
    job = json.dumps({"workflow": "txt2img", "prompt": "a fox", "steps": 1})
    assert posted(api, kind, input=job, seed="7")["params"]["prompt"] == "a fox"


@pytest.mark.parametrize("kind", [URLENCODED, "multipart/form-data"])
@pytest.mark.parametrize("fields", [{"input": {"workflow": GRAPH}}, {"prompt": GRAPH}, {"workflow": GRAPH}])
def test_what_stands_beside_a_form_s_graph_stops_nothing(api: FlaskClient, kind: str, fields: dict[str, Any]) -> None:
    texts = {name: json.dumps(value) for name, value in fields.items()}
    assert posted(api, kind, **texts, id="x", webhook="http://shop.example")["warnings"] == [WEBHOOK]


def test_a_form_s_job_may_come_with_files(api: FlaskClient, sim: Simulator) -> None:
    form = {"input": json.dumps({"workflow": loading("cat.png")}), "cat.png": (io.BytesIO(png()), "cat.png")}
    success(api.post("/generate", data=form))
    assert sent_graph(sim)["10"]["inputs"]["image"].startswith("comfybridge/")


@pytest.mark.parametrize("text", ["a cat", '{"scene": "a cat"}', "[1]"])
def test_a_parameter_may_be_called_input(make_app: Callable[..., Flask], tmp_path: Path, text: str) -> None:
    (tmp_path / "poster.json").write_text(json.dumps(GRAPH))
    (tmp_path / "poster.yaml").write_text("parameters: {input: {node: 2, input: filename_prefix}}")
    api = make_app(workflows_dir=str(tmp_path), dynamic_texts=False).test_client()
    assert posted(api, URLENCODED, workflow="poster", input=text)["params"]["input"] == text
