"""A caller's choice that brings inputs of its own: they follow it, as in ComfyUI's editor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.graphs import node
from tests.web.answers import failure, success
from tests.web.loaders_of_packs import install, loader

MakeTemplate = Callable[[Mapping[str, Any]], FlaskClient]

COMBO = "COMFY_DYNAMICCOMBO_V3"
PARAMETERS = "parameters:\n  kind: {node: 2, input: mode}\n  depth: {node: 2, input: mode.depth}\n"


def option(key: str, **inputs: Any) -> dict[str, Any]:
    return {"key": key, "inputs": {"required": inputs}}


def of_list(*choices: str) -> tuple[str, dict[str, Any]]:
    return "COMBO", {"options": list(choices)}


MODE = (
    COMBO,
    {
        "options": [
            option("png", depth=of_list("8-bit", "16-bit"), space=of_list("sRGB"), level=("INT", {"default": 4})),
            option(
                "exr",
                depth=of_list("16-bit", "32-bit float"),
                space=of_list("linear", "sRGB"),
                level=("INT", {"default": 20, "min": 10, "max": 30}),
                note=("STRING", {}),
                scale=("FLOAT", {"min": 0.5}),
                tiled=("BOOLEAN", {}),
                coding=(COMBO, {"options": [option("zip", effort=("INT", {"min": 1})), option("none")]}),
            ),
        ]
    },
)
PNG = {"mode": "png", "mode.depth": "8-bit", "mode.space": "sRGB", "mode.level": 4}
# the result with "exr": `space` stays, because both have it
EXR = {
    "mode": "exr",
    "mode.depth": "16-bit",
    "mode.space": "sRGB",
    "mode.level": 20,
    "mode.note": "",
    "mode.scale": 0.5,
    "mode.tiled": False,
    "mode.coding": "zip",
    "mode.coding.effort": 1,
}


@pytest.fixture(autouse=True)
def modes(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, loader("ModeNode", "mode", MODE))


def graph_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"2": node("ModeNode", **inputs)}


def sent(sim: Simulator) -> dict[str, Any]:
    """The inputs of node 2 in the graph that was queued last."""
    graph = [each.body["prompt"] for each in sim.requests if each.path == "/prompt" and each.method == "POST"][-1]
    inputs: dict[str, Any] = graph["2"]["inputs"]
    return inputs


@pytest.fixture
def template(make_app: Callable[..., Flask], tmp_path: Path) -> MakeTemplate:
    """Makes a bridge whose default workflow is a template with these inputs in node 2."""

    def make(inputs: Mapping[str, Any]) -> FlaskClient:
        (tmp_path / "modes.json").write_text(json.dumps(graph_of(inputs)))
        (tmp_path / "modes.yaml").write_text(PARAMETERS)
        return make_app(workflows_dir=str(tmp_path), default_workflow="modes").test_client()

    return make


@pytest.mark.parametrize("name", ["kind", "2.mode"])
def test_what_a_template_s_choice_brings_follows_it(template: MakeTemplate, sim: Simulator, name: str) -> None:
    body = success(template(PNG).post("/generate", json={"params": {name: "exr"}}))
    assert sent(sim) == EXR
    assert body["params"][name] == "exr"
    assert body["params"]["depth"] == "16-bit"  # reported by the parameter's name, or by the input's if there is none
    assert body["params"]["2.mode.level"] == 20
    assert "2.mode.space" not in body["params"]


def test_what_a_graph_s_choice_brings_follows_it(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": graph_of(PNG), "params": {"2.mode": "exr"}}))
    assert sent(sim) == EXR


def test_what_the_new_choice_does_not_bring_is_dropped(template: MakeTemplate, sim: Simulator) -> None:
    asked = {"params": {"kind": "png"}}
    body = success(template({**EXR, "mode.depth": "32-bit float"}).post("/generate", json=asked))
    assert sent(sim) == {**PNG, "mode.level": 20}
    assert body["params"]["depth"] == "8-bit"
    assert not any("coding" in name for name in body["params"])


def test_what_the_caller_gives_beside_the_choice_stays(template: MakeTemplate, sim: Simulator) -> None:
    params = {"2.mode.coding": "none", "depth": "32-bit float", "2.mode.level": 12, "kind": "exr"}
    success(template(PNG).post("/generate", json={"params": params}))
    expected = {**EXR, "mode.coding": "none", "mode.depth": "32-bit float", "mode.level": 12}
    del expected["mode.coding.effort"]
    assert sent(sim) == expected


def test_the_choice_that_a_template_has_changes_nothing(template: MakeTemplate, sim: Simulator) -> None:
    success(template(PNG).post("/generate", json={"params": {"kind": "png"}}))
    assert sent(sim) == PNG


def test_a_choice_within_a_choice_follows_too(api: FlaskClient, sim: Simulator) -> None:
    brought = {"format.codec": "h264", "format.codec.encoding": "re-encode", "format.codec.encoding.crf": 20.0}
    video = node("SaveVideo", video=["3", 0], filename_prefix="x", format="mp4", **brought)
    graph = {**graphs.picture(), "3": node("CreateVideo", images=["1", 0], fps=8), "2": video}

    success(api.post("/generate", json={"workflow": graph, "params": {"2.format": "mkv"}}))
    assert sent(sim) == {**video["inputs"], "format": "mkv", "filename_prefix": sent(sim)["filename_prefix"]}

    success(api.post("/generate", json={"workflow": graph, "params": {"2.format": "webm"}}))
    assert sent(sim)["format.codec"] == "auto"
    assert not any("encoding" in name for name in sent(sim))


@pytest.mark.parametrize(
    ("params", "type", "said"),
    [
        ({"kind": "exr", "depth": "8-bit"}, "invalid_workflow", "mode.depth '8-bit' is not one of '16-bit'"),
        ({"kind": "tiff"}, "invalid_workflow", "mode is the text 'tiff'; it must be one of png, exr"),
        ({"kind": "png", "2.mode.level": "x"}, "invalid_workflow", "mode.level"),
        ({"kind": "exr", "2.mode.coding": "none", "2.mode.coding.effort": 3}, "invalid_request", ""),
    ],
)
def test_what_the_caller_gives_wrong_is_the_caller_s_fault(
    template: MakeTemplate, params: dict[str, Any], type: str, said: str
) -> None:
    assert said in failure(template(PNG).post("/generate", json={"params": params}), 400, type)["error"]


def test_what_fails_within_the_caller_s_choice_is_the_caller_s_fault(
    template: MakeTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what must be linked, for which there is no default."""
    mode = (COMBO, {"options": [*MODE[1]["options"], option("masked", mask=("MASK", {}))]})
    install(monkeypatch, loader("ModeNode", "mode", mode))
    body = failure(template(PNG).post("/generate", json={"params": {"kind": "masked"}}), 400, "invalid_workflow")
    assert "mode.mask must be given" in body["error"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"mode.depth": "9-bit"}, "mode.depth '9-bit' is not one of"), ({"mode": "tiff"}, "mode is the text 'tiff'")],
)
def test_what_a_template_has_wrong_itself_is_its_own_fault(
    template: MakeTemplate, wrong: dict[str, Any], said: str
) -> None:
    body = failure(template({**PNG, **wrong}).post("/generate", json={}), 500, "broken_workflow")
    assert body["error"].startswith("The workflow modes does not fit this ComfyUI.")
    assert said in body["error"]


def test_the_editor_s_own_example(make_app: Callable[..., Flask], sim: Simulator, tmp_path: Path) -> None:
    png = {"format": "png", "format.bit_depth": "8-bit", "format.input_color_space": "sRGB"}
    saving = node("SaveImageAdvanced", images=["1", 0], filename_prefix="x", **png)
    (tmp_path / "saving.json").write_text(json.dumps({**graphs.picture(), "2": saving}))
    api = make_app(workflows_dir=str(tmp_path), default_workflow="saving").test_client()

    api.post("/generate", json={"params": {"2.format": "exr"}})  # the simulator does not write it

    inputs = sent(sim)
    assert {name: inputs[name] for name in png} == {**png, "format": "exr", "format.bit_depth": "32-bit float"}
