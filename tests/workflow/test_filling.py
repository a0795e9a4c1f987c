"""Values are filled into a template's copy, or into a graph that came with the request."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from comfybridge.errors import InvalidRequest, InvalidWorkflow
from comfybridge.workflow.discovery import examine
from comfybridge.workflow.filling import fill
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.parameters import Parameter, Target
from comfybridge.workflow.template import Template
from tests.workflow.drawn import default, node, of_caller, sampler


@pytest.fixture
def template() -> Template:
    graph = check_graph(default())
    return Template("txt2img", "", graph, examine(graph).parameters)


def refusal(template: Template, params: dict[Any, Any]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        fill(template, params)
    return caught.value.message


def test_values_reach_the_graph_and_the_template_stays_as_it_was(template: Template) -> None:
    filled = fill(template, {"prompt": "a dog", "steps": 30.0})
    assert filled.graph["6"]["inputs"]["text"] == "a dog"
    assert filled.graph["3"]["inputs"]["steps"] == 30
    assert filled.given == {"prompt", "steps"}
    assert template.graph == default()


def test_the_values_used_are_reported_in_the_templates_order(template: Template) -> None:
    filled = fill(template, {"9.filename_prefix": "x", "steps": 5, "seed": 1})
    assert filled.params == {
        "prompt": "a cat", "negative_prompt": "blurry", "seed": 1, "steps": 5, "cfg": 8, "width": 512, "height": 640,
        "batch_size": 1, "model": "v1-5.safetensors", "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
        "9.filename_prefix": "x",
    }  # fmt: skip
    assert list(filled.params) == [*template.parameters, "9.filename_prefix"]


@pytest.mark.parametrize("params", [{}, {"seed": -1}, {"seed": None}, {"seed": -1.0}, {"3.seed": -1}])
def test_a_templates_seed_is_drawn_unless_it_is_given(template: Template, params: dict[str, Any]) -> None:
    seeds = {fill(template, params, rng=random.Random(i)).seed for i in range(50)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**53 for seed in seeds if seed is not None)
    filled = fill(template, params)
    assert filled.graph["3"]["inputs"]["seed"] == filled.seed == filled.params["seed"]


def test_a_seed_that_is_given_is_used(template: Template) -> None:
    assert fill(template, {"seed": 2**64 - 1}).seed == 2**64 - 1
    assert fill(template, {"3.seed": 5}).seed == 5
    assert fill(template, {"seed": -1, "3.seed": 5}).params["seed"] == 5


def test_a_parameter_and_an_override_of_its_only_input_must_agree(template: Template) -> None:
    assert fill(template, {"steps": 5, "3.steps": 5}).graph["3"]["inputs"]["steps"] == 5
    with pytest.raises(InvalidRequest, match=r"steps is 9, but 3\.steps, which it feeds, is given as 8"):
        fill(template, {"steps": 9, "3.steps": 8})


def test_a_size_that_comfyui_rounds_down_is_a_warning(template: Template) -> None:
    filled = fill(template, {"width": 450, "height": 448})
    assert filled.graph["5"]["inputs"]["width"] == 450
    assert filled.warnings == ["width is 450; ComfyUI rounds it to 448, a multiple of 8."]


def test_a_seed_is_drawn_within_its_own_range() -> None:
    graph = check_graph(default())
    seed = Parameter("seed", (Target("3", "seed"),), "integer", min=-1, max=3)
    assert {fill(Template("t", "", graph, {"seed": seed}), {}).seed for _ in range(200)} == {0, 1, 2, 3}


def test_a_template_without_a_seed_parameter_reports_the_graphs_own(template: Template) -> None:
    del template.parameters["seed"]
    assert fill(template, {}).seed == 7


def test_an_unknown_name_is_refused_with_what_is_accepted(template: Template) -> None:
    message = refusal(template, {"promt": "x"})
    assert message.startswith("promt is not a parameter; accepted are prompt, ")
    assert "NODE.INPUT" in message
    assert "5 is not a parameter" in refusal(template, {5: "x"})


def test_an_override_names_what_there_is_if_it_misses(template: Template) -> None:
    assert "33.seed: the graph has no node 33; its nodes are 3, " in refusal(template, {"33.seed": 1})
    assert "node 3 (KSampler) has no input sede; its inputs are seed, " in refusal(template, {"3.sede": 1})
    assert "3.cfg is nan" in refusal(template, {"3.cfg": float("nan")})
    assert "3.cfg is inf" in refusal(template, {"3.cfg": [[float("inf")]]})
    assert "8.samples links to node 99, which is not in the graph." in refusal(template, {"8.samples": ["99", 0]})
    assert "links to output -1" in refusal(template, {"8.samples": ["3", -1]})


def test_an_override_may_be_a_link_but_not_close_a_circle(template: Template) -> None:
    assert fill(template, {"3.negative": [6, 0]}).graph["3"]["inputs"]["negative"] == ["6", 0]
    with pytest.raises(InvalidWorkflow, match="circle"):
        fill(template, {"3.latent_image": ["8", 0]})


def test_an_optional_input_can_be_given_where_its_class_is_known(template: Template) -> None:
    def inputs_of(node: Mapping[str, Any]) -> set[str] | None:
        return {"noise_mask"} if node["class_type"] == "KSampler" else None

    assert fill(template, {"3.noise_mask": True}, inputs_of).graph["3"]["inputs"]["noise_mask"] is True
    assert "no input noise_mask" in refusal(template, {"3.noise_mask": True})
    with pytest.raises(InvalidRequest, match="its inputs are noise_mask, "):
        fill(template, {"3.noise_mak": True}, inputs_of)


def test_a_declared_default_is_set_in_all_targets_and_an_undeclared_leaves_them_alone() -> None:
    graph = check_graph(default(n10=sampler(steps=9)))
    targets = (Target("3", "steps"), Target("10", "steps"))

    def steps(default: int, params: dict[str, Any]) -> tuple[int, int]:
        parameters = {"steps": Parameter("steps", targets, "integer", default)}
        filled = fill(Template("t", "", graph, parameters), params).graph
        return filled["3"]["inputs"]["steps"], filled["10"]["inputs"]["steps"]

    assert steps(20, {}) == (20, 9)
    assert steps(12, {}) == (12, 12)
    assert steps(12, {"steps": 5}) == (5, 5)
    assert steps(12, {"steps": 5, "10.steps": 6}) == (5, 6)


def test_two_parameters_of_one_input_must_agree() -> None:
    graph = check_graph(
        default(
            n5=node("EmptyLatentImage", width=["20", 0], height=["20", 0], batch_size=1),
            n20=node("PrimitiveInt", value=512),
        )
    )
    template = Template("t", "", graph, examine(graph).parameters)
    assert fill(template, {"width": 640}).params["height"] == 640
    assert fill(template, {"width": 640, "height": 640}).graph["20"]["inputs"]["value"] == 640
    assert "must be equal" in refusal(template, {"width": 640, "height": 512})


def test_two_names_for_one_seed_draw_it_once() -> None:
    graph = check_graph(default())
    parameters = {name: Parameter(name, (Target("3", "seed"),), "integer") for name in ("seed", "noise")}
    assert len(set(fill(Template("t", "", graph, parameters), {}).params.values())) == 1
    assert fill(Template("t", "", graph, parameters), {"noise": 5}).params == {"seed": 5, "noise": 5}


def test_a_whole_graph_keeps_what_is_not_given() -> None:
    filled = fill(of_caller(default()), {"steps": 3})
    assert filled.graph == default(n3=sampler(steps=3))
    assert filled.params == {"steps": 3}
    assert filled.seed == 7
    assert fill(of_caller(default(n3=sampler(seed=-1))), {}).graph["3"]["inputs"]["seed"] == -1


def test_a_whole_graphs_seed_is_drawn_on_request() -> None:
    filled = fill(of_caller(default()), {"seed": -1}, rng=random.Random(1))
    assert filled.seed != 7
    assert filled.params == {"seed": filled.seed}


def test_a_short_name_that_finds_nothing_in_a_graph_is_an_error() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fill(of_caller(default(n3=sampler(negative=["6", 0]))), {"negative_prompt": "x"})
    said = "negative_prompt was given, but no sampler in the graph takes one; the graph takes "
    assert said in caught.value.message
    with pytest.raises(InvalidRequest, match="stepz is not a parameter; accepted are steps, "):
        fill(of_caller(default()), {"stepz": 1})


def test_a_templates_schema_is_an_object_that_takes_nothing_else(template: Template) -> None:
    schema = template.schema({"model": ["v1-5.safetensors"]})
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == list(template.parameters)
    assert schema["properties"]["model"]["enum"] == ["v1-5.safetensors"]
