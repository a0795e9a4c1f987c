"""Inputs of ComfyUI's newer nodes that other inputs bring along: `format.bit_depth`, `images.image0`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.graphs import node
from tests.web.answers import failure, image, success
from tests.web.policies import SHOP, MakeApi

PNG = {"format": "png", "format.bit_depth": "8-bit", "format.input_color_space": "sRGB"}


def advanced(**inputs: Any) -> dict[str, Any]:
    """A picture saved by a node whose format brings inputs of its own."""
    graph = graphs.picture()
    graph["2"] = node("SaveImageAdvanced", **{"images": ["1", 0], "filename_prefix": "test", **(inputs or PNG)})
    return graph


def sent(sim: Simulator) -> dict[str, Any]:
    """The graph that was queued."""
    [request] = [each for each in sim.requests if each.path == "/prompt" and each.method == "POST"]
    graph: dict[str, Any] = request.body["prompt"]
    return graph


def test_an_input_within_a_choice_can_be_set(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": advanced(), "params": {"2.format.bit_depth": "16-bit"}}

    assert success(api.post("/generate", json=asked))["images"]

    assert sent(sim)["2"]["inputs"]["format.bit_depth"] == "16-bit"


def test_a_choice_can_be_set_with_what_it_brings_in_any_order(api: FlaskClient, sim: Simulator) -> None:
    graph = advanced(filename_prefix="x")  # without a format
    params = {"2.format.input_color_space": "sRGB", "2.format.bit_depth": "16-bit", "2.format": "png"}

    body = success(api.post("/generate", json={"workflow": graph, "params": params}))

    inputs = sent(sim)["2"]["inputs"]
    assert {name: inputs[f"format{name}"] for name in ("", ".bit_depth", ".input_color_space")} == {
        "": "png",
        ".bit_depth": "16-bit",
        ".input_color_space": "sRGB",
    }
    assert body["params"] == params


@pytest.mark.parametrize("wrong", ["avif", 5, None, ["png"], {"__value__": "png"}, ["1", 0]])
def test_a_choice_that_does_not_exist_is_refused_before_anything_runs(
    api: FlaskClient, sim: Simulator, wrong: Any
) -> None:
    """ComfyUI 0.33 itself runs the graph up to that node, which fails."""
    body = failure(
        api.post("/generate", json={"workflow": advanced(**{**PNG, "format": wrong})}), 400, "invalid_workflow"
    )

    assert body["error"].startswith("Node 2 (SaveImageAdvanced): format is ")
    assert body["error"].endswith("; it must be one of png, exr.")
    assert not [each for each in sim.requests if each.path == "/prompt" and each.method == "POST"]


def test_a_choice_that_came_with_an_update_is_taken(api: FlaskClient, sim: Simulator) -> None:
    """What ComfyUI says of its nodes is kept for a while; a choice that is not in it may be new."""
    old = {"key": "gif", "inputs": {"required": {}}}
    info = {
        "SaveImageAdvanced": {
            "input": {"required": {"format": ["COMFY_DYNAMICCOMBO_V3", {"options": [old]}]}},
            "output_node": True,
        }
    }
    sim.fail_route("/object_info", 200, json.dumps(info).encode(), headers={"Content-Type": "application/json"})

    assert success(api.post("/generate", json={"workflow": advanced()}))["images"]


def test_a_wrong_choice_within_a_choice_is_refused_with_the_right_ones(api: FlaskClient) -> None:
    asked = {"workflow": advanced(), "params": {"2.format.bit_depth": "32-bit float"}}

    body = failure(api.post("/generate", json=asked), 400, "invalid_workflow")

    assert "format.bit_depth '32-bit float' is not one of '8-bit', '16-bit'" in body["error"]


def test_what_a_choice_brings_must_be_given(api: FlaskClient) -> None:
    body = failure(api.post("/generate", json={"workflow": advanced(format="png")}), 400, "invalid_workflow")

    assert "the inputs format.bit_depth and format.input_color_space must be given" in body["error"]


def test_an_input_that_no_choice_brings_is_refused_with_those_there_are(api: FlaskClient) -> None:
    asked = {"workflow": advanced(), "params": {"2.format.bitdepth": "8-bit"}}

    body = failure(api.post("/generate", json=asked), 400, "invalid_request")

    assert "node 2 (SaveImageAdvanced) has no input format.bitdepth" in body["error"]
    assert "format.bit_depth" in body["error"].partition("its inputs are")[2]


def test_an_input_that_only_another_choice_brings_is_refused(api: FlaskClient) -> None:
    graph = {
        **graphs.picture(),
        "3": node("CreateVideo", images=["1", 0], fps=8),
        "4": node("SaveVideo", video=["3", 0], filename_prefix="x", format="mp4", **{"format.codec": "auto"}),
    }

    body = failure(
        api.post("/generate", json={"workflow": graph, "params": {"4.format.codec.encoding": "auto"}}),
        400,
        "invalid_request",
    )

    assert "has no input format.codec.encoding" in body["error"]


def test_a_choice_within_a_choice_is_refused_where_that_does_not_offer_it(api: FlaskClient) -> None:
    video = node("SaveVideo", video=["3", 0], filename_prefix="x", format="webm", **{"format.codec": "auto"})
    graph = {**graphs.picture(), "3": node("CreateVideo", images=["1", 0], fps=8), "4": video}

    body = failure(
        api.post("/generate", json={"workflow": graph, "params": {"4.format.codec": "h264"}}), 400, "invalid_workflow"
    )

    assert "format.codec is the text 'h264'; it must be one of auto, av1" in body["error"]


def test_an_input_left_over_from_another_choice_is_refused_where_it_would_have_no_effect(api: FlaskClient) -> None:
    left = {"format.codec": "auto", "format.codec.encoding": "auto", "format.codec.encoding.crf": 20}
    video = node("SaveVideo", video=["3", 0], filename_prefix="x", format="mp4", **left)
    graph = {**graphs.picture(), "3": node("CreateVideo", images=["1", 0], fps=8), "4": video}
    crf = {"4.format.codec.encoding.crf": 40}

    success(api.post("/generate", json={"workflow": graph}))  # ComfyUI ignores them
    body = failure(api.post("/generate", json={"workflow": graph, "params": crf}), 400, "invalid_request")
    right = {**crf, "4.format.codec.encoding": "re-encode", "4.format.codec": "h264"}
    success(api.post("/generate", json={"workflow": graph, "params": right}))

    assert "4.format.codec.encoding.crf has no effect with the present inputs of node 4 (SaveVideo)" in body["error"]


def test_one_more_input_of_a_row_can_be_linked(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture()
    graph["3"] = graphs.picture()["1"]
    graph["4"] = node("BatchImagesNode", **{"images.image0": ["1", 0]})
    graph["2"]["inputs"]["images"] = ["4", 0]

    body = success(api.post("/generate", json={"workflow": graph, "params": {"4.images.image1": ["3", 0]}}))

    assert len(body["images"]) == 2
    past = {"workflow": graph, "params": {"4.images.image50": ["3", 0]}}
    assert "has no input images.image50" in failure(api.post("/generate", json=past), 400, "invalid_request")["error"]


def test_a_template_tells_what_an_input_within_a_choice_can_be(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    (tmp_path / "advanced.json").write_text(json.dumps(advanced()))
    (tmp_path / "advanced.yaml").write_text(
        "parameters:\n  depth: {node: '2', input: format.bit_depth}\n  kind: {node: '2', input: format}\n"
    )
    api = make_app(workflows_dir=str(tmp_path)).test_client()

    properties = api.get("/workflows/advanced").get_json()["parameters"]["properties"]

    assert properties["kind"]["enum"] == ["png", "exr"]
    assert properties["depth"]["enum"] == ["8-bit", "16-bit", "32-bit float"]  # because the kind can be chosen too
    assert success(api.post("/generate", json={"workflow": "advanced", "params": {"depth": "16-bit"}}))["images"]


def test_limits_hold_for_inputs_within_others(api_for: MakeApi) -> None:
    api = api_for(max_width=512)
    resize = node(
        "ResizeImageMaskNode", input=["1", 0], resize_type="scale dimensions", **{"resize_type.width": 4096}
    )
    graph = {**graphs.picture(), "3": resize}

    body = failure(api.post("/generate", json={"workflow": graph}, headers=SHOP), 403, "forbidden")

    assert "at most 512 as resize_type.width in node 3 (ResizeImageMaskNode)" in body["error"]


def test_what_a_node_shows_out_of_the_cache_is_the_same_whichever_way_it_is_waited_for(api: FlaskClient) -> None:
    """Some nodes show what they make without being outputs; events and history must give the same."""
    graph = graphs.picture()
    graph["3"] = node("ImageCropV2", image=["1", 0], crop_region={"x": 0, "y": 0, "width": 8, "height": 8})
    graph["2"]["inputs"]["images"] = ["3", 0]

    for way in ("hub", "poll", "websocket"):
        asked = {"workflow": graph, "wait": way, "output": {"previews": True}}
        body = success(api.post("/generate", json=asked))
        assert sorted(each["node_id"] for each in body["outputs"]) == ["2", "3"]
        assert {image(each).size for each in body["images"]} == {(8, 8)}
        assert len(success(api.get(f"/results/{body['prompt_id']}"))["outputs"]) == 2
