"""What ComfyUI's editor replaces in texts, replaced by the bridge, and told to the caller."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import success
from tests.web.input_files import sent_graph
from tests.web.loaders_of_packs import install, loader

BALL = {"prompt": "a {red|blue} ball", "steps": 1, "width": 64, "height": 64}
DAY = r"\d{4}-\d\d-\d\d"


def test_a_prompt_s_choice_is_drawn_and_told(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json=BALL))
    prompt = body["params"]["prompt"]
    assert prompt in ("a red ball", "a blue ball")
    assert sent_graph(sim)["6"]["inputs"]["text"] == prompt
    assert api.get(f"/results/{body['prompt_id']}").get_json()["params"]["prompt"] == prompt


def test_the_same_seed_draws_the_same_and_others_draw_others(api: FlaskClient) -> None:
    def drawn(seed: int) -> str:
        prompt: str = success(api.post("/generate", json={**BALL, "seed": seed}))["params"]["prompt"]
        return prompt

    seeds = range(8)
    once = [drawn(seed) for seed in seeds]
    assert once == [drawn(seed) for seed in seeds]
    assert set(once) == {"a red ball", "a blue ball"}


def test_a_request_asked_again_by_its_key_has_what_was_drawn_first(api: FlaskClient, sim: Simulator) -> None:
    first, again = (
        success(api.post("/generate", json=BALL, headers={"Idempotency-Key": "a-ball"})) for _ in range(2)
    )
    assert again["prompt_id"] == first["prompt_id"]
    assert again["params"] == first["params"]
    assert len(sim.history) == 1


def test_a_text_that_no_parameter_names_is_told_by_its_input(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    graph["6"]["inputs"]["text"] = "a {red|red} ball"
    graph["7"]["inputs"]["text"] = "plain"
    assert success(api.post("/generate", json={"workflow": graph}))["params"] == {"6.text": "a red ball"}


def test_a_graph_s_short_name_tells_of_it_too(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": graphs.txt2img(sim.checkpoints[0]), "prompt": "a {red|red} ball"}
    assert success(api.post("/generate", json=asked))["params"] == {"prompt": "a red ball"}


def test_one_prompt_for_two_encoders_is_one_text(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    graph["6"]["inputs"]["text"] = graph["7"]["inputs"]["text"] = "{1|2|3|4|5|6|7|8|9}"
    params = success(api.post("/generate", json={"workflow": graph}))["params"]
    assert params["6.text"] == params["7.text"]


def test_only_inputs_with_choices_in_the_editor_are_looked_at(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, loader("ShowText", "text"), loader("Prompt", "text", ("STRING", {"dynamicPrompts": True})))
    graph = {"1": graphs.node("ShowText", text="{a|b}"), "2": graphs.node("Prompt", text="{c|c}")}
    body = success(api.post("/generate", json={"workflow": graph}))
    assert [each["text"] for each in body["outputs"]] == ["{a|b}", "c"]


def test_ordinary_texts_cost_no_question(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={**BALL, "prompt": "a (cat), 50% | and/or a dog"}))
    assert not [each.path for each in sim.requests if "CLIPTextEncode" in each.path]


@pytest.mark.parametrize("prompt", ["and//or style, 1girl", "// a cat\n/* a dog */ and {a|a} fox"])
def test_no_part_of_a_prompt_vanishes_as_a_comment(api: FlaskClient, sim: Simulator, prompt: str) -> None:
    body = success(api.post("/generate", json={**BALL, "prompt": prompt}))
    assert sent_graph(sim)["6"]["inputs"]["text"] == body["params"]["prompt"] == prompt.replace("{a|a}", "a")


@pytest.mark.parametrize(
    ("setting", "asked", "is_replaced"), [(True, False, False), (False, True, True), (False, None, False)]
)
def test_the_setting_and_the_request_can_turn_it_off(
    make_app: Callable[..., Flask], setting: bool, asked: bool | None, is_replaced: bool
) -> None:
    api = make_app(dynamic_texts=setting).test_client()
    given: dict[str, Any] = {**BALL, "params": {"9.filename_prefix": "%date:yyyy%"}}
    if asked is not None:
        given["dynamic_texts"] = asked
    params = success(api.post("/generate", json=given))["params"]
    assert (params["prompt"] == BALL["prompt"]) is not is_replaced
    assert (params["9.filename_prefix"] == "%date:yyyy%") is not is_replaced


def test_a_form_can_turn_it_off(api: FlaskClient) -> None:
    form = {**{name: str(value) for name, value in BALL.items()}, "dynamic_texts": "false"}
    body = success(api.post("/generate", data=form, content_type="multipart/form-data"))
    assert body["params"]["prompt"] == BALL["prompt"]


PREFIXES = {
    "a date": ("%date:yyyy-MM-dd%/x", DAY + "/x"),
    "a date with dots": ("%date:yy.M.d%", r"\d\d\.\d{1,2}\.\d{1,2}"),
    "a time": ("%date:hh%mm_%date:hhmmss%", r"\d\dmm_\d{6}"),
    "an input by its class": ("%EmptyImage.width%x%EmptyImage.height%", "64x48"),
    "an input by its title": ("%My picture.batch_size%", "1"),
    "a text as a file's name": ("%PrimitiveString.value%", "a_b_c"),
    "what ComfyUI replaces": ("%year%_%width%", r"%year%_%width%"),
    "what is not there": (
        "%EmptyImage.depth%_%Nothing.x%_%SaveImage.images%",
        "%EmptyImage.depth%_%Nothing.x%_%SaveImage.images%",
    ),
    "a sign alone": ("50%", "50%"),
}


@pytest.mark.parametrize(("prefix", "filled"), PREFIXES.values(), ids=PREFIXES.keys())
def test_the_prefix_of_file_names_is_filled_in(api: FlaskClient, sim: Simulator, prefix: str, filled: str) -> None:
    graph = graphs.picture()
    graph["1"]["_meta"] = {"title": "My picture"}
    graph["2"]["inputs"]["filename_prefix"] = prefix
    graph["3"] = graphs.node("PrimitiveString", value="a/b:c")
    body = success(api.post("/generate", json={"workflow": graph}))
    sent = sent_graph(sim)["2"]["inputs"]["filename_prefix"]
    assert re.fullmatch(rf"comfybridge/{DAY}/[0-9a-f-]+/{filled}", sent), sent
    told = body["params"].get("2.filename_prefix", prefix)
    assert sent.endswith("/" + told)


def test_a_name_that_a_choice_would_make_is_checked_like_any_other(
    make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, loader("Picture", "name", ("STRING", {"dynamicPrompts": True})))
    (tmp_path / "own.json").write_text(json.dumps({"1": graphs.node("Picture", name="x")}))
    (tmp_path / "own.yaml").write_text("parameters: {name: {node: 1, input: name}}")
    api = make_app(workflows_dir=tmp_path, default_workflow="own", workflows_only=True).test_client()
    response = api.post("/generate", json={"params": {"name": "{.|.}{.|.}/{x|x}"}})
    assert "without '..', a root or a drive" in response.get_json()["error"]
