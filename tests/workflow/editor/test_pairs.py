"""The prompts are those that ComfyUI's own editor makes of the same workflows."""

import copy

import pytest

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor.conversion import convert
from tests.workflow.editor.judge import differences, load


def compared(pairs: str, object_info: str) -> None:
    """Convert all workflows of a file, and see that each comes out as from the editor, or is refused."""
    wrong = {}
    for name, pair in load(pairs).items():
        if pair["prompt"] is None:
            with pytest.raises(InvalidWorkflow) as refused:
                convert(pair["workflow"], load(object_info))
            found = [each for each in pair["unknown"] if each not in refused.value.message]
        else:
            try:
                found = list(differences(pair["prompt"], convert(pair["workflow"], load(object_info))))
            except InvalidWorkflow as error:
                found = [error.message]
        if found:
            wrong[name] = found[:3]
    assert not wrong, f"{len(wrong)} of {len(load(pairs))}"


def test_templates_of_older_comfyui_come_out_as_from_the_editor():
    compared("templates-0.3.64", "object_info-0.3.64")


def test_templates_of_newer_comfyui_come_out_as_from_the_editor():
    compared("templates-0.33.0", "object_info-0.33.0")


def test_cases_made_by_hand_come_out_as_from_the_editor():
    compared("cases", "object_info-cases")


def test_official_nodes_in_odd_places_come_out_as_from_the_editor():
    compared("probes", "object_info-0.33.0")


def test_the_file_is_left_as_it_is():
    workflow = load("cases")["nested_promoted_two_instances"]["workflow"]
    before = copy.deepcopy(workflow)
    convert(workflow, load("object_info-cases"))
    assert workflow == before
