"""The model that runs is one that the server has."""

from __future__ import annotations

import pytest

from comfybridge.errors import InvalidRequest, ModelMissing
from comfybridge.workflow.discovery import examine
from comfybridge.workflow.filling import Filled, fill
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.model_choice import settle_model
from comfybridge.workflow.template import Template
from tests.workflow.drawn import default, node


def settled(choices: list[str], own: str = "v1-5.safetensors", **params: str) -> Filled:
    graph = check_graph(default(n4=node("CheckpointLoaderSimple", ckpt_name=own)))
    template = Template("txt2img", "", graph, examine(graph).parameters)
    filled = fill(template, {name.replace("__", "."): value for name, value in params.items()})
    settle_model(filled, template.parameters["model"], choices)
    return filled


def model_of(filled: Filled) -> str:
    name = filled.graph["4"]["inputs"]["ckpt_name"]
    assert filled.params["model"] == name
    return str(name)


def test_an_installed_model_is_used_without_a_word() -> None:
    filled = settled(["other.safetensors", "v1-5.safetensors"])
    assert model_of(filled) == "v1-5.safetensors"
    assert filled.warnings == []


def test_the_only_installed_model_stands_in_with_a_warning() -> None:
    filled = settled(["other.safetensors"])
    assert model_of(filled) == "other.safetensors"
    assert len(filled.warnings) == 1
    assert "v1-5.safetensors" in filled.warnings[0]
    assert "other.safetensors" in filled.warnings[0]


def test_with_several_installed_the_error_lists_them() -> None:
    with pytest.raises(ModelMissing, match=r"v1-5\.safetensors.*not installed.*: .*a\.ckpt.*b\.ckpt"):
        settled(["a.ckpt", "b.ckpt"])


def test_with_none_installed_the_error_says_what_to_put_where() -> None:
    with pytest.raises(ModelMissing, match=r"put v1-5\.safetensors into its models folder checkpoints"):
        settled([])


@pytest.mark.parametrize("name", ["model", "4__ckpt_name"])
def test_a_model_that_was_named_is_never_replaced(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"'mine\.ckpt', which is not installed"):
        settled(["other.safetensors"], **{name: "mine.ckpt"})


def test_slashes_of_either_kind_name_the_same_model() -> None:
    assert model_of(settled(["sub\\a.ckpt", "b"], own="sub/a.ckpt")) == "sub\\a.ckpt"
    assert model_of(settled(["sub/a.ckpt", "b"], model="sub\\a.ckpt")) == "sub/a.ckpt"
    assert settled(["sub/a.ckpt"], own="sub\\a.ckpt").warnings == []
