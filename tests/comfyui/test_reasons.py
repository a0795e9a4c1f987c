"""ComfyUI's refusals as sentences, on the recorded ones; and no server path in any."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comfybridge.comfyui.reasons import clean_node_errors, node_sentences, refusal
from tests.comfyui.recorded import Recording


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "bad_ckpt",
            "node 4 (CheckpointLoaderSimple): ckpt_name 'nope.safetensors' is not one of 'random-sd15.safetensors' "
            '(in a request, "model": "random-sd15.safetensors")',
        ),
        ("bad_type", "node 1 (EmptyImage): color 'abc' is no INT"),
        ("missing_input", "node 1 (EmptyImage): the inputs height and color and batch_size must be given"),
        ("no_outputs", "it has no output node, such as SaveImage or PreviewImage"),
        ("missing_class_type", "Cannot execute because a node is missing the class_type property (Node ID '#1')"),
        ("unknown_node", "node 1: this ComfyUI has no node class 'Nope' (is a custom node missing?)"),
    ],
)
def test_a_refusal_is_one_readable_sentence(name: str, sentence: str) -> None:
    graph = {"1": {"class_type": "Nope", "inputs": {}}}
    error = refusal(Recording(name).body, graph)
    assert error.message == f"ComfyUI refused the graph: {sentence}."
    assert error.status == 400
    assert error.type == "invalid_workflow"


def test_node_errors_are_handed_on_without_tracebacks() -> None:
    error = refusal(Recording("bad_link").body, {})
    assert error.node_errors is not None
    assert error.node_errors["2"]["errors"][0]["details"] == "'99'"
    assert "traceback" not in json.dumps(error.node_errors)


def test_a_graph_accepted_in_part_is_told_the_same_way() -> None:
    sentences = node_sentences(clean_node_errors(Recording("partial_invalid").body["node_errors"]))
    assert sentences == ["node 3 (SaveImage): an input links to node 9, which is not in the graph"]


@pytest.mark.parametrize("number", [3, 400])
def test_long_lists_of_choices_are_cut(number: int) -> None:
    choices = [f"model{each}.safetensors" for each in range(number)]
    extra = {"input_name": "ckpt_name", "received_value": "x", "input_config": [choices, {}]}
    errors = {"4": {"class_type": "Loader", "errors": [{"type": "value_not_in_list", "extra_info": extra}]}}
    (sentence,) = node_sentences(errors)
    shown = sentence.partition(" (in a request")[0]
    assert shown.endswith("and 380 more" if number == 400 else "'model2.safetensors'")


def test_an_error_that_is_a_mere_text_is_told_too() -> None:
    """Custom nodes and proxies answer 400 in shapes of their own."""
    assert refusal({"error": "bad prompt"}, {}).message == "ComfyUI refused the graph: bad prompt."
    assert refusal({}, {}).message == "ComfyUI refused the graph: it gave no reason."


def general(kind: str, message: str, details: str = "", **extra: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, "details": details, "extra_info": extra}, "node_errors": {}}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            general(
                "missing_node_type",
                "Node 'T' not found.",
                "Node ID '#7'",
                node_id="7",
                class_type="A",
                node_title="T",
            ),
            "node 7: this ComfyUI has no node class 'A' (is a custom node missing?)",
        ),
        (
            general("missing_node_type", "Node 'T' has no class_type.", "Node ID '#7'", node_id="7", class_type=None),
            "node 7 has no class_type; it must name a node class, such as KSampler",
        ),
        (
            general("missing_node_type", "Node 'T' not found.", "Node ID '#7'"),  # in a shape of its own
            "Node 'T' not found (Node ID '#7')",
        ),
        (
            general("invalid_prompt_id", "prompt_id must be a valid UUID", "omit it"),
            "prompt_id must be a valid UUID (omit it)",
        ),
        (general("out_of_cheese", "There is no cheese."), "There is no cheese"),
        (general("out_of_cheese", ""), "out_of_cheese"),
    ],
)
def test_newer_refusals_of_a_graph_as_a_whole(body: dict[str, Any], sentence: str) -> None:
    graph = {"7": {"class_type": "Other", "inputs": {}}}

    assert refusal(body, graph).message == f"ComfyUI refused the graph: {sentence}."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            {
                "type": "dependency_cycle",
                "message": "Dependency cycle detected",
                "details": "1 (A) -> 3 (B) -> 1 (A)",
                "extra_info": {"node_id": "1", "cycle_nodes": ["1", "3"]},
            },
            "its inputs depend on its own output, through 1 -> 3 -> 1",
        ),
        ({"type": "dependency_cycle", "message": "Dependency cycle detected"}, "Dependency cycle detected"),
        (
            {
                "type": "bad_linked_input",
                "message": "Bad linked input, must be a length-2 list of [node_id, slot_index]",
                "details": "images",
                "extra_info": {"input_name": "images", "received_value": ["1"]},
            },
            "images is ['1']; a link must be a node's id and the number of its output",
        ),
        (
            {
                "type": "exception_during_inner_validation",
                "message": "Exception when validating inner node",
                "details": "'7'",
                "extra_info": {"exception_type": "KeyError", "linked_node": ["1", 0]},
            },
            "an input links to node 7, which is not in the graph",
        ),
        (
            {
                "type": "exception_during_validation",
                "message": "Exception when validating node",
                "details": "tuple index out of range",
                "extra_info": {"exception_type": "IndexError"},
            },
            "an input links to an output that its node does not have",
        ),
        (
            {
                "type": "required_input_missing",
                "message": "Required input is missing",
                "details": "bit_depth",
                "extra_info": {"input_name": "format.bit_depth"},
            },
            "the input format.bit_depth must be given",
        ),
        (
            {
                "type": "value_not_in_list",
                "details": "x: 'a' not in []",
                "extra_info": {"input_name": "x", "received_value": "a", "input_config": ["COMBO", {"remote": {}}]},
            },
            "x 'a' is not one of its choices",
        ),
        (
            {"type": "invalid_dynamic_input", "message": "Invalid choice", "details": "format: 'avif'"},
            "Invalid choice: format: 'avif'",
        ),
        ({"type": "something_new"}, "something new"),
        ({}, "refused"),
    ],
)
def test_newer_refusals_of_a_node(error: dict[str, Any], sentence: str) -> None:
    errors = {"1": {"class_type": "A", "errors": [error]}}

    assert node_sentences(errors) == [f"node 1 (A): {sentence}"]
