"""Any JSON as a file of the editor ends as a prompt that can be queued, or as a sentence.

`HYPOTHESIS_PROFILE=long` tries many more examples.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor.conversion import conversion, convert
from comfybridge.workflow.editor.file import types_in
from comfybridge.workflow.graph import check_graph
from tests.properties.made_up import json_values
from tests.workflow.editor.judge import load
from tests.workflow.editor.made_up import files, spoiled

tried = settings(
    max_examples={"long": 5000, "more": 300}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 40),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def kept(file: Any, object_info: Any) -> None:
    """Convert a file, and see that what comes out is whole."""
    try:
        prompt = convert(file, object_info)
        later = conversion(file, object_info)
        needed = types_in(file)
    except InvalidWorkflow as error:
        sentence = error.message
    else:
        sentence = "."
        json.dumps(prompt, allow_nan=False)
        assert check_graph(prompt).keys() == prompt.keys() == later.prompt.keys()
        assert {node["class_type"] for node in prompt.values()} <= object_info.keys() & needed
        assert set(later.titles) <= set(prompt)
        assert all(node_id in prompt for shown in later.shown for node_id, _ in shown.targets)
    assert sentence.endswith(".")
    assert "\n" not in sentence


@tried
@given(value=json_values())
def test_any_json(value: Any) -> None:
    kept(value, load("object_info-cases"))


@tried
@given(file=files)
def test_files_of_known_and_unknown_nodes(file: Any) -> None:
    kept(file, load("object_info-cases"))


@tried
@given(file=spoiled())
def test_good_files_that_were_spoiled(file: Any) -> None:
    kept(file, load("object_info-cases"))


@tried
@given(
    described=st.dictionaries(
        st.sampled_from(["EmptyImage", "SaveImage", "KSampler", "LoadImage", "CLIPTextEncode"]),
        st.fixed_dictionaries(
            {
                "input": st.fixed_dictionaries({"required": st.dictionaries(st.text(max_size=3), json_values())})
                | json_values(),
                "input_order": json_values(),
                "output": json_values(),
            }
        )
        | json_values(),
    ),
    name=st.sampled_from(["values_too_short", "bypass_controlnet_two_outputs", "values_as_object"]),
)
def test_servers_that_describe_their_nodes_in_other_ways(described: Any, name: str) -> None:
    kept(load("cases")[name]["workflow"], described)
