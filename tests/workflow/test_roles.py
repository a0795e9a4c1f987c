"""Parameters are found by what inputs and outputs are called, past bundles, switches, displays and presets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from comfybridge.workflow.discovery import examine
from comfybridge.workflow.graph import check_graph
from tests.workflow.drawn import default, node, sampler
from tests.workflow.role_stories import STORIES


@dataclass
class Told:
    """What a server tells of a class in these stories: what its outputs are called."""

    output_names: Sequence[str]

    def limits(self, input_name: str) -> tuple[float | None, float | None]:
        return None, None

    def choices(self, input_name: str, given: Mapping[str, Any] | None = None) -> list[Any] | None:
        return None


@pytest.mark.parametrize(("graph", "told", "expected"), STORIES.values(), ids=STORIES.keys())
def test_parameters_are_found_by_names(
    graph: dict[str, Any], told: dict[str, list[str]], expected: dict[str, str]
) -> None:
    found = examine(check_graph(graph), lambda name: Told(told[name]) if name in told else None).parameters
    targets = {name: " ".join(f"{t.node}.{t.input}" for t in each.targets) for name, each in found.items()}
    assert {name: targets.get(name, "") for name in expected} == expected


@pytest.mark.parametrize(
    ("graph", "name", "said"),
    [
        (STORIES["unknowable switch"][0], "prompt", "node 20 (Mystery Switch) chooses"),
        (STORIES["two beside different prompts"][0], "prompt", "nodes 3 and 11 stand side by side"),
        (STORIES["florence"][0], "prompt", "node 3 (KSampler) lead to no text"),
        (
            default(
                n5=node("EmptyLatentImage", width=["20", 0], height=["20", 1], batch_size=1),
                n20=node("Aspect", width=1024, height=1024, aspect_ratio="3:4 portrait 896x1152"),
            ),
            "width",
            "takes its width and height from its aspect_ratio, the text '3:4 portrait",
        ),
        (
            default(
                n3=sampler(model=["21", 0]),
                n20=node("LoraLoaderModelOnly", lora_name="a.safetensors", strength_model=1, model=["4", 0]),
                n21=node("LoraLoaderModelOnly", lora_name="b.safetensors", strength_model=1, model=["20", 0]),
            ),
            "lora_name",
            "the graph has 2 LoRAs",
        ),
    ],
)
def test_a_parameter_that_is_not_clear_is_none_and_the_reason_is_told(
    graph: dict[str, Any], name: str, said: str
) -> None:
    found = examine(check_graph(graph))
    assert name not in found.parameters
    assert said in found.unclear[name]


def test_a_server_is_asked_about_nothing_in_a_graph_of_known_classes() -> None:
    assert examine(default()).unknown == frozenset()
    assert examine(check_graph(STORIES["a class that nobody knows: the sampler's inputs tell"][0])).unknown == {
        "X Apply"
    }
