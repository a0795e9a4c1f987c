"""Parameters of workflows with nodes of other packs, and with the less usual ones of the core."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.answers import failure
from tests.workflow.drawn import default, encode, node, sampler

Told = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, str]]]

ONE, TWO = node("PrimitiveString", value="one"), node("PrimitiveString", value="two")
TAGGER = node("WD14Tagger|pysssss", model="wd", threshold=0.35, exclude_tags="", tags="what it said", image=["1", 0])


@pytest.fixture
def told(make_app: Callable[..., Flask], tmp_path: Path) -> Told:
    """Tells what a bridge says of a graph: its parameters' defaults, and why some are not there."""
    api = make_app(workflows_dir=tmp_path, default_workflow="mine").test_client()

    def tell(graph: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        (tmp_path / "mine.json").write_text(json.dumps(graph))
        body = api.get("/workflows/mine").get_json()
        properties = body["parameters"]["properties"]
        return {name: each.get("default") for name, each in properties.items()}, body.get("unclear", {})

    return tell


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        (node("LayerUtility: If", if_condition=["22", 0], when_TRUE=["20", 0], when_FALSE=["21", 0]), "two"),
        (node("Text Input Switch", text_a=["20", 0], text_b=["21", 0], boolean=False), "two"),
        (node("Text Input Switch", text_a=["20", 0], text_b=["21", 0], boolean=True), "one"),
        (node("Text Input Switch", text_a=["20", 0], text_b=["21", 0], boolean=["22", 0]), "two"),
    ],
)
def test_a_switch_of_two_branches_gives_the_one_that_true_or_false_selects(
    told: Told, switch: dict[str, Any], expected: str
) -> None:
    no = node("PrimitiveBoolean", value=False)
    found, _ = told(default(n6=encode(["23", 0]), n20=ONE, n21=TWO, n22=no, n23=switch))
    assert found["prompt"] == expected


def test_the_tags_that_a_tagger_last_showed_are_no_prompt(told: Told) -> None:
    found, _ = told({"1": node("LoadImage", image="a.png"), "2": TAGGER})
    assert "image" in found
    assert "prompt" not in found


def test_a_text_added_to_a_conditioning_is_not_taken_for_the_prompt(told: Told) -> None:
    box = node("GLIGENTextBoxApply", text="a hat", width=64, height=64, x=0, y=0, conditioning_to=["6", 0])
    assert told(default(n3=sampler(positive=["20", 0]), n20=box))[0]["prompt"] == "a cat"


def test_a_number_from_which_a_node_works_something_out_is_no_size(told: Told) -> None:
    by_ratio = node("Size By Ratio", ratio="16:9", shortside=512)
    found, unclear = told(default(n5=node("EmptyLatentImage", width=["20", 0], height=["20", 1]), n20=by_ratio))
    assert not {"width", "height"} & found.keys()
    assert "node 5 (EmptyLatentImage) gets its width from node 20 (Size By Ratio)" in unclear["width"]


def test_a_setting_that_is_worked_out_is_told_of(told: Told) -> None:
    settings = node("KSampler Config (rgthree)", steps_total=25, refiner_step=20, cfg=6)
    found, unclear = told(default(n3=sampler(steps=["20", 0], cfg=["20", 2]), n20=settings))
    assert found["cfg"] == 6
    assert "steps" not in found
    assert "node 3 (KSampler) gets its steps from node 20 (KSampler Config (rgthree))" in unclear["steps"]


def test_a_latent_of_a_size_from_a_list_is_told_of(told: Told) -> None:
    presets = node("EmptyLatentImagePresets", dimensions="768 x 512", invert=False, batch_size=2)
    found, unclear = told(default(n3=sampler(latent_image=["20", 0]), n20=presets))
    assert found["batch_size"] == 2
    assert "width" not in found
    assert "from its dimensions, the text '768 x 512'" in unclear["width"]


@pytest.mark.parametrize(
    "loader",
    [
        node("ETN_LoadMaskBase64", mask=""),
        node("LoadMaskFromURL", url="https://pictures.example/mask.png"),
    ],
)
def test_a_loader_of_masks_gives_mask(told: Told, loader: dict[str, Any]) -> None:
    found, _ = told(
        default(
            n5=node("VAEEncodeForInpaint", grow_mask_by=6, pixels=["20", 0], mask=["21", 0], vae=["4", 2]),
            n20=node("LoadImage", image="a.png"),
            n21=loader,
        )
    )
    assert {"image", "mask"} <= found.keys()


@pytest.mark.parametrize("class_type", ["ImageLoaderOfMine", "Image From URL"])
def test_loaders_that_are_called_otherwise_give_image(told: Told, class_type: str) -> None:
    loader = node(class_type, image="https://pictures.example/a.png")
    found, _ = told({"1": loader, "2": node("ImageInvert", image=["1", 0]), "3": node("SaveImage", images=["2", 0])})
    assert "image" in found


def test_a_hint_for_a_controlnet_is_not_where_the_size_comes_from(told: Told) -> None:
    found, _ = told(
        {
            "1": node("easy comfyLoader", empty_latent_width=64, empty_latent_height=96, positive="a", negative="b"),
            "2": node("easy controlnetLoader", control_net_name="c", pipe=["1", 0], image=["3", 0]),
            "3": node("LoadImage", image="a.png"),
            "4": node("easy preSampling", steps=20, cfg=8, seed=5, pipe=["2", 0]),
            "5": node("easy kSampler", pipe=["4", 0]),
            "6": node("SaveImage", images=["5", 1], filename_prefix="x"),
        }
    )
    assert (found["width"], found["height"], found["prompt"]) == (64, 96, "a")


def test_a_context_with_settings_is_no_sampler(told: Told) -> None:
    context = node("Context Big (rgthree)", model=["4", 0], positive=["6", 0], negative=["7", 0], latent=["5", 0])
    context["inputs"]["seed"] = ["20", 0]
    found, _ = told(
        default(
            n3=sampler(
                model=["21", 1], positive=["21", 4], negative=["21", 5], latent_image=["21", 6], seed=["21", 8]
            ),
            n20=node("Seed (rgthree)", seed=4),
            n21=context,
        )
    )
    wanted = {"prompt": "a cat", "steps": 20, "cfg": 8, "sampler_name": "euler", "width": 512}
    assert {name: found.get(name) for name in wanted} == wanted


PRESET = node("CR SDXL Aspect Ratio", width=1024, height=1024, aspect_ratio="3:4 portrait 896x1152")
BY_PRESET = default(n5=node("EmptyLatentImage", width=["20", 0], height=["20", 1], batch_size=1), n20=PRESET)


def test_a_caller_of_a_workflow_is_told_why_a_parameter_is_none(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(BY_PRESET))
    api = make_app(workflows_dir=tmp_path, default_workflow="mine").test_client()
    body = failure(api.post("/generate", json={"workflow": "mine", "width": 512}), 400, "invalid_request")
    assert "width is not a parameter: node 20 (CR SDXL Aspect Ratio) takes its width" in body["error"]
    assert "accepted are prompt, negative_prompt, seed" in body["error"]


@pytest.mark.parametrize(
    "graph",
    [
        BY_PRESET,
        default(
            n3=sampler(latent_image=["20", 0]),
            n20=node("EmptyLatentImagePresets", dimensions="768 x 512", batch_size=1),
        ),
    ],
)
def test_no_input_without_effect_is_proposed(api: FlaskClient, graph: dict[str, Any]) -> None:
    body = failure(api.post("/generate", json={"workflow": graph, "width": 512}), 400, "invalid_request")
    assert "width is not a parameter: node 20" in body["error"]
    assert '"20.width"' not in body["error"]
    assert '"5.width"' not in body["error"]


def test_texts_called_pos_and_neg_are_the_prompts(told: Told) -> None:
    handling = node("SDXL Prompt Handling (JPS)", pos_g="a cat", pos_l="a cat", neg_g="dim", neg_l="dim")
    both = {
        f"n{number}": node("CLIPTextEncodeSDXL", text_g=["20", slot], text_l=["20", slot + 1], clip=["4", 1])
        for number, slot in ((6, 0), (7, 2))
    }
    found, _ = told(default(**both, n20=handling))
    assert (found["prompt"], found["negative_prompt"]) == ("a cat", "dim")
