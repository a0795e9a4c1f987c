"""Refusals are sentences for people."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.dialects.comfy.calls import ended, post, queue, refused
from tests.graphs import node, picture, txt2img


def test_the_rule_for_names_of_labels_is_legible(api: FlaskClient) -> None:
    error = refused(post(api, metadata={"a b": "x"}), 422, "metadata_invalid")
    assert error["message"].endswith("a name has 1 to 40 letters, digits, dots, _ and -.")


def test_no_sentence_names_fields_of_the_bridge_s_own_api(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = ["demo.safetensors"]
    error = refused(post(api, txt2img("nowhere.safetensors")), 422, "invalid_workflow")
    assert error["message"].endswith("ckpt_name 'nowhere.safetensors' is not one of 'demo.safetensors'.")
    large = {**picture(), "3": node("PreviewAny", source="x" * 5_000_000)}
    assert refused(post(api, large), 413, "payload_too_large")["message"].endswith("; upload files as assets.")
    for image, said in (("nowhere.png", "; upload it as an asset."), ("http://127.0.0.1:1/a.png", "127.0.0.1")):
        graph = {"1": node("LoadImage", image=image), "2": node("PreviewImage", images=["1", 0])}
        done = ended(jobs_app, queue(api, graph))
        assert said in done["error"]["message"]
        assert "images" not in done["error"]["message"]
