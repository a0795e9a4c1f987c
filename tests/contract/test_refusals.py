"""The graphs that POST /prompt does not take, and how it says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract import graphs
from tests.contract.server import Server

RECORDINGS = Path(__file__).parent.parent / "recordings"

SAVE = graphs.node("SaveImage", images=["1", 0], filename_prefix="ComfyUI")


def empty(**changes: Any) -> dict[str, Any]:
    inputs = {"width": 512, "height": 512, "batch_size": 1, "color": 4839184, **changes}
    return graphs.node("EmptyImage", **{name: value for name, value in inputs.items() if value is not None})


# The graphs of the recorded refusals, or graphs with the same errors.
RECORDED: dict[str, dict[str, Any]] = {
    "bad_link": {"2": graphs.node("SaveImage", images=["99", 0], filename_prefix="ComfyUI")},
    "bad_type": {"1": empty(color="abc"), "2": SAVE},
    "missing_class_type": {"1": {"inputs": {}}, "2": SAVE},
    "missing_input": {"1": graphs.node("EmptyImage", width=512), "2": SAVE},
    "no_outputs": {"1": empty()},
    "unknown_node": {"1": graphs.node("Nope")},
}


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """A refusal without what differs from server to server: tooltips, traceback lines, the order of errors."""
    for node in body["node_errors"].values():
        for error in node["errors"]:
            extra = error["extra_info"]
            if "traceback" in extra:
                assert all(isinstance(line, str) for line in extra["traceback"])
                extra["traceback"] = ["..."]
            if "input_config" in extra:
                extra["input_config"][1].pop("tooltip", None)
        node["errors"].sort(key=json.dumps)
    return body


@pytest.mark.parametrize("name", RECORDED)
def test_a_refusal_is_worded_as_recorded(server: Server, name: str) -> None:
    if name in ("missing_class_type", "unknown_node") and server.version.names_missing_nodes:
        pytest.skip("worded anew since: see the tests of missing_node_type")
    recorded = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))

    assert comparable(server.refused(RECORDED[name])) == comparable(recorded["post_body"])


@pytest.mark.parametrize("title", [None, "My title"])
@pytest.mark.parametrize("class_type", ["NoSuchNode", None])
def test_a_newer_comfyui_names_the_node_class_that_it_does_not_have(
    server: Server, class_type: str | None, title: str | None
) -> None:
    if not server.version.names_missing_nodes:
        pytest.skip("an older ComfyUI")
    node: dict[str, Any] = {"inputs": {}}
    if class_type is not None:
        node["class_type"] = class_type
    if title is not None:
        node["_meta"] = {"title": title}

    error = server.refused({"7": node, "2": SAVE})["error"]

    wording = "not found. The custom node may not be installed."
    if class_type is None:
        wording = "has no class_type. The workflow may be corrupted or a custom node is missing."
    assert error == {
        "type": "missing_node_type",
        "message": f"Node '{title or class_type or 'ID #7'}' {wording}",
        "details": "Node ID '#7'",
        "extra_info": {"node_id": "7", "class_type": class_type, "node_title": title or class_type},
    }


def test_an_unknown_checkpoint_is_refused_with_those_there_are(server: Server, checkpoint: str) -> None:
    recorded = json.loads((RECORDINGS / "bad_ckpt.json").read_text(encoding="utf-8"))["post_body"]
    names = server.get("/models/checkpoints").json()
    graph = graphs.txt2img("nope.safetensors")

    refusal = server.refused(graph)

    text = json.dumps(recorded).replace("['random-sd15.safetensors']", str(names))
    assert comparable(refusal) == comparable(
        json.loads(text.replace('["random-sd15.safetensors"]', json.dumps(names)))
    )


def errors_of(refusal: dict[str, Any], node_id: str) -> list[dict[str, Any]]:
    assert refusal["error"]["type"] == "prompt_outputs_failed_validation"
    errors: list[dict[str, Any]] = refusal["node_errors"][node_id]["errors"]
    return errors


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"width": 0}, "value_smaller_than_min", "Value 0 smaller than min of 1"),
        ({"height": 99999}, "value_bigger_than_max", "Value 99999 bigger than max of 16384"),
    ],
)
def test_a_number_out_of_range_is_refused(server: Server, changes: dict[str, int], kind: str, message: str) -> None:
    [(name, value)] = changes.items()

    [error] = errors_of(server.refused({"1": empty(**changes), "2": SAVE}), "1")

    assert (error["type"], error["message"], error["details"]) == (kind, message, name)
    assert error["extra_info"]["received_value"] == value
    assert error["extra_info"]["input_config"] == ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}]


def test_numbers_in_text_are_taken(server: Server) -> None:
    assert server.accepted({"1": empty(width="64", height=48.7), "2": SAVE})["node_errors"] == {}


def test_a_word_that_is_not_in_the_list_is_refused(server: Server) -> None:
    scale = graphs.node("ImageScale", image=["1", 0], upscale_method="magic", width=8, height=8, crop="disabled")
    graph = {"1": empty(), "3": scale, "2": graphs.node("SaveImage", images=["3", 0], filename_prefix="x")}

    [error] = errors_of(server.refused(graph), "3")

    assert error["type"] == "value_not_in_list"
    assert error["details"].startswith("upscale_method: 'magic' not in [")


def test_a_long_list_is_not_repeated(server: Server, checkpoint: str) -> None:
    graph = graphs.txt2img(checkpoint)
    graph["3"]["inputs"]["sampler_name"] = "magic"

    [error] = errors_of(server.refused(graph), "3")

    assert error["details"].startswith("sampler_name: 'magic' not in (list of length ")
    assert error["extra_info"]["input_config"] is None


def test_a_link_must_have_two_parts(server: Server) -> None:
    graph = {"1": empty(), "2": graphs.node("SaveImage", images=["1"], filename_prefix="x")}

    [error] = errors_of(server.refused(graph), "2")

    assert (error["type"], error["details"]) == ("bad_linked_input", "images")
    assert error["extra_info"]["received_value"] == ["1"]


def test_a_link_to_an_output_that_is_not_there_is_refused(server: Server) -> None:
    graph = {"1": empty(), "2": graphs.node("SaveImage", images=["1", 3], filename_prefix="x")}

    [error] = errors_of(server.refused(graph), "2")

    assert (error["type"], error["details"]) == ("exception_during_validation", "tuple index out of range")
    assert error["extra_info"]["exception_type"] == "IndexError"


def test_a_broken_link_further_up_is_booked_on_the_node_that_has_it(server: Server) -> None:
    graph = {"1": graphs.node("ImageInvert", image=["7", 0]), "2": SAVE}

    [error] = errors_of(server.refused(graph), "1")

    assert (error["type"], error["details"]) == ("exception_during_inner_validation", "'7'")
    assert error["extra_info"]["linked_node"] == ["1", 0]
    assert set(error["extra_info"]) == {
        *("input_name", "input_config", "exception_message", "exception_type", "traceback", "linked_node"),
    }


def test_a_link_of_the_wrong_type_is_refused(server: Server) -> None:
    graph = {
        "1": graphs.node("LoadImage", image="example.png"),
        "2": graphs.node("SaveImage", images=["1", 1], filename_prefix="x"),
    }

    [error] = errors_of(server.refused(graph), "2")

    assert error["type"] == "return_type_mismatch"
    assert error["details"] == "images, received_type(MASK) mismatch input_type(IMAGE)"
    assert (error["extra_info"]["received_type"], error["extra_info"]["linked_node"]) == ("MASK", ["1", 1])


def test_an_input_file_that_is_not_there_is_refused(server: Server) -> None:
    name = f"{graphs.unique()}.png"

    [error] = errors_of(server.refused(graphs.loaded(name)), "1")

    assert error == {
        "type": "custom_validation_failed",
        "message": "Custom validation failed for node",
        "details": f"image - Invalid image file: {name}",
        "extra_info": {"input_name": "image"},
    }


def test_an_input_file_that_is_not_named_is_refused(server: Server) -> None:
    graph = graphs.loaded("x")
    del graph["1"]["inputs"]["image"]

    [error] = errors_of(server.refused(graph), "1")

    assert error["type"] == "exception_during_inner_validation"


def test_a_cycle_is_refused_and_a_newer_comfyui_names_its_nodes(server: Server) -> None:
    graph = {
        "1": graphs.node("ImageInvert", image=["3", 0]),
        "2": SAVE,
        "3": graphs.node("ImageInvert", image=["1", 0]),
    }

    refusal = server.refused(graph)

    assert refusal["error"]["type"] == "prompt_outputs_failed_validation"
    assert refusal["error"]["details"] == ""
    if not server.version.finds_cycles:
        assert refusal["node_errors"] == {}
        return
    assert set(refusal["node_errors"]) == {"1", "3"}
    for node_id, node in refusal["node_errors"].items():
        assert node["errors"] == [
            {
                "type": "dependency_cycle",
                "message": "Dependency cycle detected",
                "details": "1 (ImageInvert) -> 3 (ImageInvert) -> 1 (ImageInvert)",
                "extra_info": {"node_id": node_id, "cycle_nodes": ["1", "3"]},
            }
        ]


def test_a_body_without_a_prompt_is_refused(server: Server) -> None:
    response = server.post("/prompt", {"client_id": "x"})

    assert response.status_code == 400
    assert response.json() == {
        "error": {
            "type": "no_prompt",
            "message": "No prompt provided",
            "details": "No prompt provided",
            "extra_info": {},
        },
        "node_errors": {},
    }


def test_an_empty_graph_has_no_outputs(server: Server) -> None:
    assert server.refused({})["error"]["type"] == "prompt_no_outputs"


@pytest.mark.parametrize("prompt", [[1], "text", 5, None, {"1": 5}])
def test_what_is_no_graph_at_all_is_answered_500_in_plain_text(server: Server, prompt: Any) -> None:
    response = server.post("/prompt", {"prompt": prompt})

    assert response.status_code == 500
    assert response.headers["Content-Type"].startswith("text/plain")
    assert response.text == "500 Internal Server Error\n\nServer got itself in trouble"


def test_what_is_no_json_is_answered_500(server: Server) -> None:
    response = requests.post(f"{server.url}/prompt", data="no json", timeout=10)

    assert response.status_code == 500
