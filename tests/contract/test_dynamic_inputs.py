"""Inputs that depend on what other inputs say, and nodes that show what they make without being outputs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.graphs import Graph
from tests.contract.server import Server


@pytest.fixture(autouse=True)
def modern(server: Server) -> None:
    if not server.version.is_modern:
        pytest.skip("an older ComfyUI, without such nodes")


def saved(**inputs: Any) -> Graph:
    saving = {"images": ["1", 0], "filename_prefix": f"contract/{graphs.unique()}/x", **inputs}
    return {"1": graphs.plain(), "2": {"class_type": "SaveImageAdvanced", "inputs": saving}}


PNG = {"format": "png", "format.bit_depth": "8-bit", "format.input_color_space": "sRGB"}


def test_a_choice_is_declared_with_the_inputs_that_it_brings(server: Server) -> None:
    info = server.get("/object_info/SaveImageAdvanced").json()["SaveImageAdvanced"]

    kind, config = info["input"]["required"]["format"]
    assert kind == "COMFY_DYNAMICCOMBO_V3"
    options = {option["key"]: option["inputs"]["required"] for option in config["options"]}
    assert {"png", "exr"} <= set(options)
    assert options["png"]["bit_depth"][1]["options"] == ["8-bit", "16-bit"]


def test_a_row_is_declared_with_what_it_is_made_of(server: Server) -> None:
    info = server.get("/object_info/BatchImagesNode").json()["BatchImagesNode"]

    kind, config = info["input"]["required"]["images"]
    template = config["template"]
    assert kind == "COMFY_AUTOGROW_V3"
    assert (template["prefix"], template["min"], template["max"]) == ("image", 1, 50)
    assert template["input"]["required"]["image"][0] == "IMAGE"


def test_inputs_that_a_choice_brings_are_named_after_it(server: Server, ear: Ear) -> None:
    prompt_id = server.run(saved(**PNG), ear)

    [file] = server.files(prompt_id, "2")
    assert file["filename"] == "x_00001.png"


def test_what_a_choice_brings_must_be_given_and_fit(server: Server) -> None:
    missing = server.refused(saved(format="png"))["node_errors"]["2"]["errors"]
    [wrong] = server.refused(saved(**{**PNG, "format.bit_depth": "9-bit"}))["node_errors"]["2"]["errors"]

    assert {error["type"] for error in missing} == {"required_input_missing"}
    assert {error["details"] for error in missing} == {"bit_depth", "input_color_space"}
    assert {error["extra_info"]["input_name"] for error in missing} == {
        *("format.bit_depth", "format.input_color_space"),
    }
    assert wrong["type"] == "value_not_in_list"
    assert wrong["details"] == "format.bit_depth: '9-bit' not in ['8-bit', '16-bit']"


def test_a_choice_that_does_not_exist_is_found_out_by_the_node(server: Server, ear: Ear) -> None:
    prompt_id = server.queue(saved(**{**PNG, "format": "avif"}), ear)

    error = ear.until("execution_error", prompt_id).data
    assert error["node_id"] == "2"
    assert "missing 1 required positional argument: 'format'" in error["exception_message"]


def test_what_the_choice_does_not_bring_is_passed_over(server: Server, ear: Ear) -> None:
    prompt_id = server.run(saved(**PNG, **{"format.quality": 7}), ear)

    assert server.entry(prompt_id)["status"]["status_str"] == "success"


def test_a_row_takes_links_by_number(server: Server, ear: Ear) -> None:
    graph = {
        "1": graphs.plain(),
        "2": graphs.plain(),
        "3": {"class_type": "BatchImagesNode", "inputs": {"images.image0": ["1", 0], "images.image1": ["2", 0]}},
        "4": graphs.node("PreviewImage", images=["3", 0]),
    }

    prompt_id = server.run(graph, ear)

    assert len(server.files(prompt_id, "4")) == 2


def test_some_nodes_that_are_no_outputs_show_what_they_have_even_if_it_is_cached(server: Server, ear: Ear) -> None:
    graph = {
        "1": graphs.plain(),
        "2": graphs.node("ImageCropV2", image=["1", 0], crop_region={"x": 0, "y": 0, "width": 8, "height": 8}),
        "3": graphs.node("SaveImage", images=["2", 0], filename_prefix=f"contract/{graphs.unique()}/x"),
    }
    first = server.run(graph, ear)

    second = server.run(graph, ear)

    for prompt_id in (first, second):
        executed = {frame.data["node"] for frame in ear.of(prompt_id) if frame.type == "executed"}
        assert executed == set(server.entry(prompt_id)["outputs"]) == {"2", "3"}


def test_a_retired_class_is_replaced_if_its_node_has_a_meta(server: Server) -> None:
    graph: Graph = {**graphs.saved(), "3": graphs.node("Preview3DAnimation", model_file="x.glb")}

    assert server.post("/prompt", {"prompt": graph}).status_code == 500
    graph["3"]["_meta"] = {}
    errors = server.accepted(graph)["node_errors"]

    assert errors["3"]["class_type"] == "Preview3D"
