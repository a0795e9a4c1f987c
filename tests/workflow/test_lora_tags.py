"""LoRAs that a prompt names: the tags, the names, and where in the graph they are loaded."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.filling import Filled
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.lora_tags import LoraTag, load_tagged, without_tags
from comfybridge.workflow.parameters import Target
from tests import graphs
from tests.graphs import node

TYPES = {
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "UNETLoader": ["MODEL"],
    "CLIPLoader": ["CLIP"],
    "LoraLoader": ["MODEL", "CLIP"],
    "ModelSamplingDiscrete": ["MODEL"],
    "CLIPSetLastLayer": ["CLIP"],
    "CLIPTextEncode": ["CONDITIONING"],
    "KSampler": ["LATENT"],
    "Reroute": ["*"],
    "PrimitiveString": ["STRING"],
}
INSTALLED = [
    "ink.safetensors",
    "style\\Watercolor v1.2.safetensors",
    "a/same.safetensors",
    "b/same.pt",
    "Case.safetensors",
    "case.safetensors",
]


def loaded(graph: Graph, prompt: str = "a cat <lora:ink:0.5>", installed: Sequence[str] | None = INSTALLED) -> Filled:
    graph = copy.deepcopy(graph)
    graph["6"]["inputs"]["text"] = prompt
    filled = Filled(graph, params={"prompt": prompt})
    load_tagged(filled, [Target("6", "text")], lambda _: installed, lambda name: TYPES.get(name, ()))
    return filled


def names(prompt: str, installed: Sequence[str] | None = INSTALLED) -> list[str]:
    """The installed LoRAs that a prompt loads."""
    graph = loaded(graphs.txt2img("x"), prompt, installed).graph
    return [each["inputs"]["lora_name"] for each in graph.values() if each["class_type"] == "LoraLoader"]


def chain(graph: Graph, node_id: str, name: str) -> list[Any]:
    """What an input's link leads back through: LoRA loaders with their strengths, and the node behind them."""
    found: list[Any] = []
    source = graph[node_id]["inputs"][name]
    while graph[source[0]]["class_type"].startswith("Lora"):
        inputs = graph[source[0]]["inputs"]
        found.append((inputs["lora_name"], inputs["strength_model" if source[1] == 0 else "strength_clip"]))
        source = inputs["model" if source[1] == 0 else "clip"]
    return [*found[::-1], source[0]]


# -- tags


@pytest.mark.parametrize(
    ("text", "plain", "tags"),
    [
        ("a cat", "a cat", []),
        (" kept as it is ", " kept as it is ", []),
        ("a cat <lora:ink:0.8>", "a cat", [LoraTag("ink", 0.8, 0.8)]),
        ("<lora:ink> a cat", "a cat", [LoraTag("ink", 1, 1)]),
        ("a <lora:ink:0.5:0.25>cat", "a cat", [LoraTag("ink", model=0.25, clip=0.5)]),
        ("<lora:b:-1>, <lora: a : 2 >", ",", [LoraTag("b", -1, -1), LoraTag("a", 2, 2)]),
        ("<lora:ink:te=0.5:unet=0.1>x", "x", [LoraTag("ink", model=0.1, clip=0.5)]),
        ("<lora:ink:0.5:unet=0.1>x", "x", [LoraTag("ink", model=0.1, clip=0.5)]),
        ("<LoRA:ink:1> <lyco:ink:1>x", "x", [LoraTag("ink"), LoraTag("ink")]),
        ("<hypernet:ink:1> <b>bold</b> 1 < 2", "<hypernet:ink:1> <b>bold</b> 1 < 2", []),
        ("<lora:unfinished", "<lora:unfinished", []),
    ],
)
def test_tags_are_taken_out_of_the_text(text: str, plain: str, tags: list[LoraTag]) -> None:
    assert without_tags(text) == (plain, tags)


WRONG = [
    *("<lora:>", "<lora::1>", "<lora:x:heavy>", "<lora:x:>", "<lora:x:1:2:3>", "<lora:x:nan>", "<lora:x:101>"),
    *("<lora:x:-inf>", "<lora:x:lbw=ALL>", "<lora:x:unet=much>"),
]


@pytest.mark.parametrize("tag", WRONG)
def test_a_tag_that_is_wrong_is_quoted(tag: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        without_tags(f"a cat {tag}")
    assert tag in refused.value.message
    assert "<lora:NAME:WEIGHT>" in refused.value.message


# -- names


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ink", "ink.safetensors"),
        ("INK", "ink.safetensors"),
        ("ink.safetensors", "ink.safetensors"),
        ("watercolor V1.2", "style\\Watercolor v1.2.safetensors"),
        ("style/Watercolor v1.2", "style\\Watercolor v1.2.safetensors"),
        ("style\\Watercolor v1.2.safetensors", "style\\Watercolor v1.2.safetensors"),
        ("a/same", "a/same.safetensors"),
        ("B/SAME", "b/same.pt"),
        ("Case", "Case.safetensors"),
        ("case", "case.safetensors"),
    ],
)
def test_a_lora_is_found_by_its_name(name: str, file: str) -> None:
    assert names(f"<lora:{name}:1>") == [file]


@pytest.mark.parametrize("name", ["same", "CASE"])
def test_a_name_that_fits_several_loras_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"may be any of .*[Ss]ame|may be any of Case.*, case"):
        names(f"<lora:{name}:1>")


def test_a_lora_that_is_not_installed_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        InvalidRequest, match="The LoRA inc in the prompt is not installed in ComfyUI; installed are ink"
    ):
        names("<lora:inc:1>")
    with pytest.raises(InvalidRequest, match="nor is any other"):
        names("<lora:inc:1>", [])
    with pytest.raises(InvalidRequest, match="has no LoraLoader"):
        names("<lora:inc:1>", None)


def test_the_list_is_asked_for_anew_before_a_name_is_refused() -> None:
    asked: list[bool] = []

    def installed(is_asked_anew: bool) -> list[str]:
        asked.append(is_asked_anew)
        return ["old.safetensors", *(["new.safetensors"] if is_asked_anew else [])]

    graph = graphs.txt2img("x")
    graph["6"]["inputs"]["text"] = "<lora:old> <lora:new>"
    load_tagged(Filled(graph), [Target("6", "text")], installed, lambda name: TYPES.get(name, ()))
    assert asked == [False, False, True]


# -- the graph


def test_a_loader_for_each_stands_between_the_checkpoint_and_all_that_uses_it() -> None:
    filled = loaded(graphs.txt2img("x"), "<lora:case:2>a cat<lora:ink:0.5:0.25>")
    graph = filled.graph
    assert chain(graph, "3", "model") == [("case.safetensors", 2.0), ("ink.safetensors", 0.25), "4"]
    for encoder in ("6", "7"):
        assert chain(graph, encoder, "clip") == [("case.safetensors", 2.0), ("ink.safetensors", 0.5), "4"]
    assert graph["8"]["inputs"]["vae"] == ["4", 2]
    assert graph["6"]["inputs"]["text"] == filled.params["6.text"] == "a cat"


def test_a_prompt_without_tags_changes_nothing() -> None:
    graph = graphs.txt2img("x")
    assert loaded(graph, "a cat").graph == {
        **graph,
        "6": {**graph["6"], "inputs": {"text": "a cat", "clip": ["4", 1]}},
    }


def test_it_comes_before_the_loras_and_patches_of_the_graph() -> None:
    graph = graphs.txt2img("x")
    graph["10"] = node(
        "LoraLoader", lora_name="own", strength_model=1.0, strength_clip=1.0, model=["4", 0], clip=["4", 1]
    )
    graph["11"] = node("ModelSamplingDiscrete", model=["10", 0])
    graph["3"]["inputs"]["model"] = ["11", 0]
    graph["6"]["inputs"]["clip"] = ["10", 1]
    graph = loaded(graph).graph
    assert chain(graph, "11", "model") == [("ink.safetensors", 0.5), ("own", 1.0), "4"]
    assert chain(graph, "6", "clip") == [("ink.safetensors", 0.5), ("own", 1.0), "4"]
    assert chain(graph, "7", "clip") == [("ink.safetensors", 0.5), "4"]


def test_a_model_and_a_text_encoder_of_two_loaders_get_one_together() -> None:
    graph = graphs.txt2img("x")
    graph |= {"10": node("UNETLoader", unet_name="u"), "11": node("CLIPLoader", clip_name="c")}
    graph["3"]["inputs"]["model"] = ["10", 0]
    graph["6"]["inputs"]["clip"] = graph["7"]["inputs"]["clip"] = ["11", 0]
    graph = loaded(graph).graph
    assert chain(graph, "3", "model") == [("ink.safetensors", 0.5), "10"]
    assert chain(graph, "6", "clip") == chain(graph, "7", "clip") == [("ink.safetensors", 0.5), "11"]
    assert [each["class_type"] for each in graph.values()].count("LoraLoader") == 1


def test_a_model_without_a_text_encoder_gets_a_loader_for_the_model_only() -> None:
    graph = graphs.txt2img("x")
    graph["10"] = node("UNETLoader", unet_name="u")
    graph["12"] = {**graph["3"], "inputs": {**graph["3"]["inputs"], "model": ["10", 0]}}
    graph = loaded(graph).graph
    assert chain(graph, "3", "model") == [("ink.safetensors", 0.5), "4"]
    assert chain(graph, "12", "model") == [("ink.safetensors", 0.5), "10"]
    assert graph[graph["12"]["inputs"]["model"][0]]["class_type"] == "LoraLoaderModelOnly"


def test_every_text_encoder_gets_one() -> None:
    graph = graphs.txt2img("x")
    graph |= {"10": node("CLIPLoader", clip_name="c"), "11": node("CLIPTextEncode", text="b", clip=["10", 0])}
    graph = loaded(graph).graph
    assert chain(graph, "11", "clip") == [("ink.safetensors", 0.5), "10"]
    assert chain(graph, "6", "clip") == [("ink.safetensors", 0.5), "4"]
    assert chain(graph, "3", "model") == [("ink.safetensors", 0.5), "4"]


def test_reroutes_are_looked_through() -> None:
    graph = graphs.txt2img("x")
    graph |= {
        "10": node("Reroute", **{"": ["4", 0]}),
        "11": node("ModelSamplingDiscrete", model=["10", 0]),
        "12": node("PrimitiveString", value="x"),
        "13": node("Reroute", **{"": ["12", 0]}),
    }
    graph["3"]["inputs"]["model"] = ["11", 0]
    graph["4"]["inputs"]["ckpt_name"] = ["13", 0]
    graph = loaded(graph).graph
    assert chain(graph, "10", "") == [("ink.safetensors", 0.5), "4"]
    assert graph["11"]["inputs"]["model"] == ["10", 0]


def test_a_graph_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no loader of a model"):
        loaded({"6": node("CLIPTextEncode", text="")})


def test_the_new_nodes_take_no_ids_of_the_graph() -> None:
    graph = graphs.txt2img("x")
    graph["lora_1"] = node("PrimitiveString", value="x")
    changed = loaded(graph).graph
    assert changed["lora_1"] == graph["lora_1"]
    assert chain(changed, "3", "model") == [("ink.safetensors", 0.5), "4"]


def test_two_texts_of_one_prompt_name_a_lora_once() -> None:
    graph = graphs.txt2img("x")
    text = "a cat <lora:ink:0.5>"
    graph["6"] = node("CLIPTextEncodeSDXL", text_g=text, text_l=text, clip=["4", 1])
    filled = Filled(graph)
    targets = [Target("6", "text_g"), Target("6", "text_l")]
    load_tagged(filled, targets, lambda _: INSTALLED, lambda name: TYPES.get(name, ()))
    assert (graph["6"]["inputs"]["text_g"], graph["6"]["inputs"]["text_l"]) == ("a cat", "a cat")
    assert chain(graph, "6", "clip") == [("ink.safetensors", 0.5), "4"]


def test_too_many_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="names 51 LoRAs; at most 50"):
        names("<lora:ink>" * 51)
