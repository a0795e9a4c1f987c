"""Jobs that are refused when they are sent, because ComfyUI would refuse their graphs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.graphs import txt2img
from tests.web.answers import failure, success
from tests.web.jobs import accepted, jobs_api, jobs_app, make_jobs_app, queued_at

__all__ = ["jobs_api", "jobs_app", "make_jobs_app"]


def test_a_graph_with_faults(jobs_api: FlaskClient, sim: Simulator) -> None:
    graph = txt2img("nowhere.safetensors")
    del graph["3"]["inputs"]["model"]
    error = failure(jobs_api.post("/jobs", json={"workflow": graph}), 400, "invalid_workflow")
    assert {name: each["dependent_outputs"] for name, each in error["node_errors"].items()} == {
        "3": ["9"],
        "4": ["9"],
    }
    assert "node 3 (KSampler): the input model must be given" in error["error"]
    assert "ckpt_name 'nowhere.safetensors' is not one of 'demo.safetensors'" in error["error"]
    assert not queued_at(sim)
    blocking = failure(jobs_api.post("/generate", json={"workflow": graph}), 400, "invalid_workflow")
    assert blocking["node_errors"] == error["node_errors"]


def test_only_the_outputs_that_are_to_run_count(jobs_api: FlaskClient) -> None:
    graph = txt2img("nowhere.safetensors")
    graph["10"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 7}}
    graph["11"] = {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}}
    accepted(jobs_api.post("/jobs", json={"workflow": graph}))
    accepted(jobs_api.post("/jobs", json={"workflow": graph, "partial_execution_targets": ["11"]}))
    sent = {"workflow": graph, "partial_execution_targets": ["9"]}
    failure(jobs_api.post("/jobs", json=sent), 400, "invalid_workflow")


def test_a_template_that_does_not_fit(make_jobs_app: Callable[..., Flask], tmp_path: Path, sim: Simulator) -> None:
    folder = tmp_path / "workflows"
    folder.mkdir()
    graph = txt2img("demo.safetensors")
    graph["10"] = {
        "class_type": "LoraLoader",
        "inputs": {
            "model": ["4", 0],
            "clip": ["4", 1],
            "lora_name": "nowhere.safetensors",
            "strength_model": 1.0,
            "strength_clip": 1.0,
        },
    }
    graph["3"]["inputs"]["model"] = ["10", 0]
    (folder / "inked.json").write_text(json.dumps(graph))
    app = make_jobs_app(workflows_dir=folder)
    failure(app.test_client().post("/jobs", json={"workflow": "inked", "prompt": "a cat"}), 500, "model_missing")


def test_the_blocking_way_asks_nothing_more(jobs_api: FlaskClient, sim: Simulator) -> None:
    graph = txt2img("demo.safetensors", steps=1)
    success(jobs_api.post("/generate", json={"workflow": graph}))
    sim.forget_requests()
    success(jobs_api.post("/generate", json={"workflow": txt2img("demo.safetensors", steps=1)}))
    assert not [each.path for each in sim.requests if each.path.startswith("/object_info")]
