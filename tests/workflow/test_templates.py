"""In official templates, the parameters are those that a person would point at in the editor.

`data/parameters_of_templates.json` has, for each of some templates, all parameters that are to be found in it and the
inputs that they set, as ids in the converted prompt.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comfybridge.workflow.discovery import examine
from comfybridge.workflow.editor.conversion import conversion
from tests.workflow.described import described
from tests.workflow.editor.judge import load

EXPECTED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "data" / "parameters_of_templates.json").read_text()
)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_parameters_of_a_template_are_found(name: str) -> None:
    said = conversion(load("templates-0.33.0")[name]["workflow"], load("object_info-0.33.0"))
    found = examine(said.prompt, described, said).parameters
    targets = {each: " ".join(f"{t.node}.{t.input}" for t in found[each].targets) for each in found}
    assert targets == EXPECTED[name]


def test_all_templates_can_be_looked_through() -> None:
    for pair in load("templates-0.3.64").values():
        said = conversion(pair["workflow"], load("object_info-0.3.64"))
        found = examine(said.prompt, None, said).parameters
        inputs = {(node, name) for node, each in said.prompt.items() for name in each["inputs"]}
        assert {(t.node, t.input) for each in found.values() for t in each.all_targets} <= inputs
