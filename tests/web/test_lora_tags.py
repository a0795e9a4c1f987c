"""`lora_tags`: LoRAs that a prompt names, through HTTP and in the queued graph."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.policies import SHOP, MakeApi
from tests.web.saved_files import queued

SMALL = {"width": 64, "height": 64, "steps": 1, "lora_tags": True}
TAGGED = "a cat <lora:Demo-Style:0.5>"


def loaders(sim: Simulator) -> list[dict[str, Any]]:
    graph = queued(sim)[0]
    return [each for each in graph.values() if each["class_type"].startswith("LoraLoader")]


@pytest.mark.parametrize("workflow", ["txt2img", "sdxl", "flux"])
def test_a_template_loads_the_lora_that_the_prompt_names(api: FlaskClient, sim: Simulator, workflow: str) -> None:
    body = success(api.post("/generate", json={"workflow": workflow, "prompt": TAGGED, **SMALL}))
    assert body["params"]["prompt"] == "a cat"
    [loader] = loaders(sim)
    assert loader["inputs"]["lora_name"] == "demo-style.safetensors"
    assert (loader["inputs"]["strength_model"], loader["inputs"]["strength_clip"]) == (0.5, 0.5)


def test_a_whole_graph_does_too(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.txt2img("demo.safetensors")
    success(api.post("/generate", json={"workflow": graph, "prompt": TAGGED, "lora_tags": True}))
    assert len(loaders(sim)) == 1
    graph["6"]["inputs"]["text"] = TAGGED  # in the graph itself
    success(api.post("/generate", json={"workflow": graph, "lora_tags": True}))
    assert len(loaders(sim)) == 1


def test_without_being_asked_for_a_tag_is_text(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"prompt": TAGGED, **SMALL, "lora_tags": False}))
    assert (body["params"]["prompt"], loaders(sim)) == (TAGGED, [])


def test_choices_are_drawn_first(api: FlaskClient, sim: Simulator) -> None:
    prompt = "a cat {<lora:demo-style:0.25>|<lora:demo-style:0.25>}"
    success(api.post("/generate", json={"prompt": prompt, **SMALL}))
    assert [each["inputs"]["strength_model"] for each in loaders(sim)] == [0.25]


def test_the_negative_prompt_has_none(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"prompt": "a cat", "negative_prompt": TAGGED, **SMALL}))
    assert loaders(sim) == []


def test_a_lora_that_is_not_installed_is_refused_with_the_nearest(api: FlaskClient) -> None:
    asked = {"prompt": "a cat <lora:demo-stile:1>", **SMALL}
    said = failure(api.post("/generate", json=asked), 400, "invalid_request")["error"]
    assert said == "The LoRA demo-stile in the prompt is not installed in ComfyUI; installed are demo-style."


def test_the_policy_holds_for_the_loaders(api_for: MakeApi) -> None:
    api = api_for(refused_nodes=["LoraLoader"])
    said = failure(api.post("/generate", json={"prompt": TAGGED, **SMALL}, headers=SHOP), 403, "forbidden")["error"]
    assert "LoraLoader" in said
    success(api.post("/generate", json={"prompt": "a cat", **SMALL}, headers=SHOP))
