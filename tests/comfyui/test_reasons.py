"""ComfyUI's refusals as sentences, on the recorded ones; and no server path in any."""

from __future__ import annotations

import json

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
    assert refusal({}, {}).message == "ComfyUI refused the graph: it did not say why."
