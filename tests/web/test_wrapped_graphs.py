"""Graphs as other tools send them: wrapped in objects of theirs, or as JSON text, or as the whole body."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.media.pictures import drawn, encoded, texts
from tests.web.answers import failure, success
from tests.web.input_files import b64, loading, png, sent_graph
from tests.web.policies import SHOP, MakeApi

EDITOR = {"last_node_id": 2, "nodes": [{"id": 1, "type": "EmptyImage"}], "links": [], "version": 0.4}

WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "a text": json.dumps,
    "a text with lines and a space in front": lambda graph: "\n " + json.dumps(graph, indent=2),
    "a text in a text": lambda graph: json.dumps(json.dumps(graph)),
    "the body of ComfyUI's /prompt": lambda graph: {"prompt": graph, "client_id": "x", "extra_data": {"a": 1}},
    "what the editor makes of its graph": lambda graph: {"output": graph, "workflow": EDITOR},
    "the same as text": lambda graph: json.dumps({"output": graph, "workflow": EDITOR}),
    "a worker's job": lambda graph: {"input": {"workflow": graph, "images": []}},
    "a worker's job with a text": lambda graph: {"input": {"workflow_json": json.dumps(graph)}},
    "a job of the body of /prompt": lambda graph: {"input": {"prompt": graph}},
    "a name of another tool": lambda graph: {"workflow_api": graph},
}


def history_of(graph: dict[str, Any]) -> dict[str, Any]:
    """What `GET /history` says of a prompt that had the graph."""
    prompt = [3, "an-id", graph, {"extra_pnginfo": {"workflow": EDITOR, "prompt": graph}}, ["2"]]
    return {"an-id": {"prompt": prompt, "outputs": {"2": {"images": []}}, "status": {"completed": True}}}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
@pytest.mark.parametrize("field", ["workflow", "prompt"])
def test_a_wrapped_graph_runs_in_either_field(
    api: FlaskClient, sim: Simulator, field: str, wrap: Callable[[Any], Any]
) -> None:
    graph = graphs.picture()
    body = success(api.post("/generate", json={field: wrap(graph), "params": {"1.width": 32}}))
    assert ("image" in body) is (field == "prompt")
    assert sent_graph(sim)["1"]["inputs"] == {**graph["1"]["inputs"], "width": 32}


@pytest.mark.parametrize("wrap", [*WRAPPERS.values(), history_of], ids=[*WRAPPERS.keys(), "a history"])
def test_a_wrapped_graph_runs_out_of_a_form_s_field_and_file(
    api: FlaskClient, sim: Simulator, wrap: Callable[[Any], Any]
) -> None:
    wrapped = wrap(graphs.picture())
    text = wrapped if isinstance(wrapped, str) else json.dumps(wrapped)
    for field in ("workflow", "prompt"):
        success(api.post("/generate", data={field: text}, content_type="multipart/form-data"))
        success(api.post("/generate", data={field: (io.BytesIO(text.encode()), "graph.json")}))
    assert sum(each.path.endswith("/prompt") for each in sim.requests) == 4


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_a_wrapped_graph_is_a_template(
    make_app: Callable[..., Flask], sim: Simulator, tmp_path: Path, wrap: Callable[[Any], Any]
) -> None:
    (tmp_path / "wrapped.json").write_text(json.dumps(wrap(graphs.txt2img(sim.checkpoints[0]))))
    api = make_app(workflows_dir=tmp_path, default_workflow="wrapped").test_client()
    assert success(api.post("/generate", json={"prompt": "a fox"}))["params"]["prompt"] == "a fox"


@pytest.mark.parametrize("wrap", [lambda graph: {"prompt": graph}, json.dumps])
def test_a_graph_that_a_picture_wraps_runs(api: FlaskClient, wrap: Callable[[Any], Any]) -> None:
    picture = encoded(drawn(), pnginfo=texts(prompt=json.dumps(wrap(graphs.picture()))))
    success(api.post("/generate", data={"workflow": (io.BytesIO(picture), "x.png")}))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda graph: graph,
        lambda graph: {"input": {"workflow": graph}},
        lambda graph: {"input": {"prompt": graph}},
        lambda graph: {"input": graph},
        lambda graph: {"input": {"workflow": json.dumps(graph)}},
        lambda graph: {"input": json.dumps({"workflow": graph})},
        lambda graph: {"prompt": graph, "client_id": "x", "extra_data": {"extra_pnginfo": {"workflow": EDITOR}}},
        lambda graph: {"output": graph, "workflow": EDITOR},
        lambda graph: {"output": graph, "workflow": json.dumps(EDITOR)},
        lambda graph: {"workflow_json": json.dumps(graph)},
        lambda graph: {"data": {"graph": graph}},
    ],
)
def test_a_graph_is_the_whole_body_or_wrapped_by_it(
    api: FlaskClient, sim: Simulator, wrap: Callable[[Any], Any]
) -> None:
    asked = {**wrap(graphs.picture()), "params": {"1.width": "32"}, "timeout": "60"}
    success(api.post("/generate", json=asked))
    assert sent_graph(sim)["1"]["inputs"]["width"] == 32


def test_a_body_that_was_made_json_twice_is_read(api: FlaskClient) -> None:
    success(api.post("/generate", json=json.dumps({"workflow": graphs.picture()})))


def test_nodes_may_have_the_names_of_fields(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture()
    named = {
        "prompt": graph["1"],
        "output": {**graph["2"], "inputs": {"images": ["prompt", 0], "filename_prefix": "x"}},
    }
    success(api.post("/generate", json=named))
    assert sent_graph(sim).keys() == {"prompt", "output"}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda job: job,
        lambda job: {"workflow": job},
        lambda job: {"workflow": json.dumps(job)},
    ],
)
def test_a_job_brings_its_images(api: FlaskClient, sim: Simulator, wrap: Callable[[Any], Any]) -> None:
    job = {"input": {"workflow": loading("cat.png"), "images": [{"name": "cat.png", "image": b64(png())}]}}
    success(api.post("/generate", json=wrap(job)))
    assert sent_graph(sim)["10"]["inputs"]["image"].startswith("comfybridge/")


def test_what_the_request_says_itself_counts_more_than_what_a_wrapper_says(api: FlaskClient, sim: Simulator) -> None:
    job = {"input": {"workflow": graphs.txt2img(sim.checkpoints[0]), "seed": 5, "steps": 1, "other": 7}}
    body = success(api.post("/generate", json={"workflow": job, "seed": 6}))
    assert (body["params"]["seed"], body["params"]["steps"]) == (6, 1)


def test_a_job_may_name_a_template(api: FlaskClient) -> None:
    body = success(api.post("/generate", json={"input": {"workflow": "txt2img", "prompt": "a fox", "steps": 1}}))
    assert body["params"]["prompt"] == "a fox"


@pytest.mark.parametrize(
    ("asked", "type", "said"),
    [
        ({"prompt": "x", "worker": {"webhook": 5}}, "invalid_request", "Unknown field 'worker'"),
        (
            {"workflow": "txt2img", "prompt": "x", "webhook": "https://shop.example"},
            "invalid_request",
            "webhook is a field of POST /jobs",
        ),
        (
            {"workflow": json.dumps(graphs.picture()), "prompt": graphs.picture()},
            "invalid_request",
            "workflow and prompt both hold a graph; one request runs one graph.",
        ),
        ({**graphs.picture(), "3": {"inputs": {}}}, "invalid_workflow", "Node 3: class_type is missing or empty"),
        ({**graphs.picture(), "zoom": 3}, "invalid_request", "Unknown field 'zoom'"),
        ({"a": graphs.picture(), "b": graphs.picture()}, "invalid_request", "a and b both hold a graph"),
        (
            {"workflow": {"a": graphs.picture(), "b": graphs.picture()}},
            "invalid_workflow",
            "The workflow holds several graphs, under a and b; one request runs one graph.",
        ),
        (
            {**graphs.picture(), "workflow": "txt2img"},
            "invalid_request",
            "The body is a graph itself and has a workflow too",
        ),
        (
            {"workflow": json.dumps(graphs.picture())[:-1]},
            "invalid_workflow",
            "The graph was sent as a text, and the text is not JSON: Expecting",
        ),
        ({"prompt": str(graphs.picture())}, "invalid_workflow", "the text is not JSON: Expecting property name"),
        (
            {"workflow": '{"1": {"class_type": "A", "inputs": {"x": NaN}}}'},
            "invalid_workflow",
            "The graph holds NaN, which JSON does not have",
        ),
        ({"workflow": '{"1": {"class_type": "A", "inputs": {"x": 1e999}}}'}, "invalid_request", "too large"),
        (
            {"workflow": '{"1": {"class_type": "A", "inputs": {"x": "\\ud800"}}}'},
            "invalid_request",
            "half of a character",
        ),
        (
            {"workflow": '{"1": {"class_type": "A", "inputs": ' + '{"a":' * 200 + "1" + "}" * 202},
            "invalid_request",
            "nested too deeply",
        ),
    ],
)
def test_what_is_no_graph_after_all_is_told_why(
    api: FlaskClient, sim: Simulator, asked: dict[str, Any], type: str, said: str
) -> None:
    assert said in failure(api.post("/generate", json=asked), 400, type)["error"]
    assert sim.requests == []


@pytest.mark.parametrize(
    "text",
    ["{a b} cat", "{", '{"a": 1}', '{"nodes": ["of light", "of rain"]}', '{"scene": {"prompt": "a cat"}}', '"nodes"'],
)
def test_a_prompt_that_begins_like_json_and_is_no_graph_stays_a_text(api: FlaskClient, text: str) -> None:
    body = success(api.post("/generate", json={"prompt": text, "steps": 1, "width": 64, "height": 64}))
    assert body["params"]["prompt"] == text


@pytest.mark.parametrize(
    "asked",
    [
        {"workflow": json.dumps(graphs.picture())},
        graphs.picture(),
        {"input": {"workflow": graphs.picture()}},
        {"workflow": {"prompt": graphs.picture()}},
    ],
)
def test_who_may_not_send_graphs_may_not_wrap_them_either(api_for: MakeApi, asked: dict[str, Any]) -> None:
    api = api_for(graphs=False)
    response = api.post("/generate", json=asked, headers=SHOP)
    assert "graph" in failure(response, 403, "forbidden")["error"]


def test_a_repeat_may_wrap_the_graph_otherwise(api: FlaskClient) -> None:
    graph = graphs.picture()
    ids = {
        success(api.post("/generate", json=asked, headers={"Idempotency-Key": "k"}))["prompt_id"]
        for asked in ({"workflow": graph}, {"workflow": json.dumps(graph)}, {"input": {"workflow": graph}}, graph)
    }
    assert len(ids) == 1
