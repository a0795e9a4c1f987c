"""`field` in errors: the field or the parameter that is wrong, so that a form can show the sentence there."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.policies import SHOP, MakeApi, png

SMALL = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}
GRAPH = graphs.picture(64, 64)
# the body, and the field; each is answered before anything is queued
WRONG: dict[str, tuple[dict[str, Any], str | None]] = {
    "out of range": ({**SMALL, "steps": 0}, "steps"),
    "out of range in params": ({"prompt": "x", "params": {"denoise": 7}}, "denoise"),
    "of another type": ({**SMALL, "width": "wide"}, "width"),
    "of another type in params": ({"prompt": "x", "params": {"cfg": "much"}}, "cfg"),
    "no choice": ({**SMALL, "sampler_name": "nope"}, "sampler_name"),
    "no model": ({**SMALL, "model": "nope.safetensors"}, "model"),
    "an unknown field": ({**SMALL, "stepz": 5}, "stepz"),
    "an unknown parameter": ({"prompt": "x", "params": {"stepz": 5}}, "stepz"),
    "a node that is not there": ({"prompt": "x", "params": {"99.steps": 5}}, "99.steps"),
    "an input that is not there": ({"prompt": "x", "params": {"3.stepz": 5}}, "3.stepz"),
    "two values": ({**SMALL, "params": {"steps": 2}}, "steps"),
    "required": ({"workflow": "upscale"}, "image"),
    "an unknown workflow": ({**SMALL, "workflow": "nope"}, "workflow"),
    "a graph and a name": ({"prompt": GRAPH, "workflow": "txt2img"}, "workflow"),
    "a preset's name": ({**SMALL, "presets": {"look": "x"}}, "presets"),
    "a preset's value": ({**SMALL, "presets": {"quality": "x"}}, "presets.quality"),
    "the timeout": ({**SMALL, "timeout": 1e6}, "timeout"),
    "the number of prompts": ({**SMALL, "n": 65}, "n"),
    "an output's format": ({**SMALL, "output": {"format": "bmp"}}, "output.format"),
    "an output's node": ({**SMALL, "output": {"nodes": ["99"]}}, "output.nodes"),
    "how to wait": ({**SMALL, "wait": "idly"}, "wait"),
    "a file's data": ({"workflow": "upscale", "images": {"image": "data:image/png;base64,?"}}, "image"),
    "a file's text": ({"workflow": "upscale", "images": {"image": 5}}, "image"),
    "no image": ({"workflow": "upscale", "images": {"image": "aGVsbG8gd29ybGQhISE="}}, "image"),
    "a file for nothing": ({**SMALL, "images": {"photo.png": "aGVsbG8gd29ybGQhISE="}}, "photo.png"),
    "files in another shape": ({**SMALL, "images": "x"}, "images"),
    "a file's name": ({"workflow": "upscale", "params": {"image": "../../secret.png"}}, "image"),
    "a lora in the prompt": ({**SMALL, "prompt": "<lora:nope:1>", "lora_tags": True}, "prompt"),
    "a value in a graph of one's own": ({"prompt": GRAPH, "params": {"width": -5}}, "width"),
    "a graph": ({"prompt": {"1": {"inputs": {}}}}, None),
}
# what a policy refuses: the policy, the body, and the field
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "a workflow": ({"workflows": ["img2img"]}, {**SMALL, "workflow": "txt2img"}, "workflow"),
    "steps": ({"max_steps": 4}, {**SMALL, "steps": 5}, "steps"),
    "a width": ({"max_width": 32}, SMALL, "width"),
    "pixels": ({"max_pixels": 1000}, SMALL, "width"),
    "a batch": ({"max_batch_size": 2}, {**SMALL, "batch_size": 3}, "batch_size"),
    "n": ({"max_batch_size": 2}, {**SMALL, "n": 3}, "n"),
    "n and a batch": ({"max_batch_size": 4}, {**SMALL, "n": 3, "batch_size": 2}, "n"),
    "a place in the queue": ({"priority": False}, {**SMALL, "front": True}, "front"),
    "an override": ({"overrides": False}, {**SMALL, "params": {"3.steps": 5}}, "3.steps"),
    "a node class": ({"refused_nodes": ["KSampler"]}, SMALL, None),
}


def field_of(api: FlaskClient, asked: dict[str, Any]) -> str | None:
    response = api.post("/generate", **asked)
    assert 400 <= response.status_code < 500, response.text
    body: dict[str, Any] = response.get_json()
    return body.get("field")


def test_a_request_s_errors_name_the_field(api: FlaskClient, sim: Simulator) -> None:
    found = {kind: field_of(api, {"json": body}) for kind, (body, _) in WRONG.items()}
    assert found == {kind: field for kind, (_, field) in WRONG.items()}
    assert sim.history == {}


def test_a_form_s_errors_name_the_field(api: FlaskClient) -> None:
    def form(**parts: Any) -> dict[str, Any]:
        return {"data": parts, "content_type": "multipart/form-data"}

    assert field_of(api, form(prompt="x", steps="0")) == "steps"
    assert field_of(api, form(workflow="upscale", image=(io.BytesIO(b"no picture at all"), "x.png"))) == "image"
    cut_off = png(64, 64)[:60]
    assert field_of(api, form(workflow="upscale", image=(io.BytesIO(cut_off), "x.png"))) == "image"


@pytest.mark.parametrize(("policy", "body", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_a_policy_s_refusals_name_the_field(
    api_for: MakeApi, policy: dict[str, Any], body: dict[str, Any], field: str | None
) -> None:
    assert field_of(api_for(**policy), {"json": body, "headers": SHOP}) == field


def test_a_query_s_errors_name_the_field(api: FlaskClient) -> None:
    assert api.post("/generate?index=x", json=SMALL).get_json()["field"] == "index"
    assert "field" not in api.get("/nowhere").get_json()
