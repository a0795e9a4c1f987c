"""Workflows that ComfyUI would refuse, refused when they are queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.dialects.comfy.calls import ended, post, queue, refused
from tests.graphs import node, picture, txt2img
from tests.web.jobs import queued_at


def changed(node_id: str, **inputs: Any) -> dict[str, Any]:
    """ComfyUI's default graph with some inputs of a node set; those that are `...` are left out."""
    graph = txt2img("demo.safetensors", steps=1)
    given = {**graph[node_id]["inputs"], **inputs}
    graph[node_id]["inputs"] = {name: value for name, value in given.items() if value is not ...}
    return graph


@pytest.mark.parametrize(
    ("graph", "node_id", "kind", "input_name"),
    [
        (changed("3", model=...), "3", "required_input_missing", "model"),
        (changed("3", steps=...), "3", "required_input_missing", "steps"),
        (changed("9", images=...), "9", "required_input_missing", "images"),
        (changed("4", ckpt_name="nowhere.safetensors"), "4", "value_not_in_list", "ckpt_name"),
        (changed("3", sampler_name="nothing"), "3", "value_not_in_list", "sampler_name"),
        (changed("8", vae=["4", 3]), "8", "exception_during_validation", "vae"),
        (changed("3", model=["4", 2]), "3", "return_type_mismatch", "model"),
        (changed("3", steps=0), "3", "value_smaller_than_min", "steps"),
        (changed("3", denoise=2), "3", "value_bigger_than_max", "denoise"),
        (changed("3", steps="many"), "3", "invalid_input_type", "steps"),
        (changed("3", steps=None), "3", "invalid_input_type", "steps"),
        (changed("3", model=["4", 0, 0]), "3", "bad_linked_input", "model"),
    ],
)
def test_a_graph_that_comfyui_would_refuse(
    api: FlaskClient, sim: Simulator, graph: dict[str, Any], node_id: str, kind: str, input_name: str
) -> None:
    sim.checkpoints = ["demo.safetensors"]
    details = refused(post(api, graph), 422, "invalid_workflow")["details"]
    assert list(details["node_errors"]) == [node_id]
    told = details["node_errors"][node_id]
    assert (told["class_type"], told["dependent_outputs"]) == (graph[node_id]["class_type"], ["9"])
    [error] = told["errors"]
    assert (error["type"], error["extra_info"]["input_name"]) == (kind, input_name)
    assert error["message"]
    assert not queued_at(sim)


def test_all_faults_are_told_at_once(api: FlaskClient) -> None:
    graph = changed("3", model=..., steps=0)
    del graph["6"]["inputs"]["clip"]
    error = refused(post(api, graph), 422, "invalid_workflow")
    told = {
        node_id: [each["type"] for each in said["errors"]]
        for node_id, said in error["details"]["node_errors"].items()
    }
    assert told == {"3": ["required_input_missing", "value_smaller_than_min"], "6": ["required_input_missing"]}
    assert "the input model must be given" in error["message"]


@pytest.mark.parametrize(
    "graph",
    [
        {
            **picture(),
            "5": node("KSampler", steps=0),
            "6": node("CheckpointLoaderSimple", ckpt_name="no.safetensors"),
        },
        {**txt2img("nowhere.safetensors"), **picture()},  # ComfyUI leaves an output out, and makes the other
        {**picture(), "2": node("SaveImage", images=["1", 0], filename_prefix="x", unknown=5)},
        {**picture(), "1": node("EmptyImage", width="64", height=64.5, batch_size=True, color=0)},
    ],
)
def test_what_comfyui_accepts_is_queued(jobs_app: Flask, api: FlaskClient, graph: dict[str, Any]) -> None:
    assert ended(jobs_app, queue(api, graph))["status"] == "succeeded"


def test_a_model_that_has_just_come_is_found(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    refused(post(api, txt2img("new.safetensors")), 422, "invalid_workflow")
    sim.checkpoints = ["demo.safetensors", "new.safetensors"]
    assert ended(jobs_app, queue(api, txt2img("new.safetensors", steps=1)))["status"] == "succeeded"


def test_a_model_that_another_comfyui_has(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    with Simulator(step_seconds=0, checkpoints=["other.safetensors"]) as second:
        app = make_jobs_app(comfyui_url=f"{sim.url},{second.url}")
        api = app.test_client()
        error = refused(post(api, txt2img("nowhere.safetensors")), 422, "invalid_workflow")
        assert error["details"]["node_errors"]["4"]["errors"][0]["type"] == "value_not_in_list"
        queue(api, txt2img("other.safetensors"))
        second.stop()
        queue(api, txt2img("nowhere.safetensors"))  # the one that is away may have it
        refused(post(api, changed("3", model=...)), 422, "invalid_workflow")
        sim.stop()
        queue(api, changed("3", model=...))
