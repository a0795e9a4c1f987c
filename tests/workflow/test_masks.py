"""How a template reads its mask: `Template.mask_form`, for those who must hand it a file that fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comfybridge.workflow.library import Library
from comfybridge.workflow.template import Template
from tests import ROOT, graphs
from tests.graphs import node


def template(tmp_path: Path, **nodes: Any) -> Template:
    """The template that img2img is with these nodes; "12" gives its latent."""
    graph = graphs.txt2img("model.safetensors")
    del graph["5"]
    graph["3"]["inputs"]["latent_image"] = ["12", 0]
    graph["10"] = node("LoadImage", image="example.png")
    graph["11"] = node("VAEEncode", pixels=["10", 0], vae=["4", 2])
    graph.update({name.removeprefix("n"): each for name, each in nodes.items()})
    (tmp_path / "own.json").write_text(json.dumps(graph))
    found = Library(tmp_path).get("own")
    assert isinstance(found, Template)
    return found


def masked(by: str = "20", slot: int = 0) -> dict[str, Any]:
    return node("SetLatentNoiseMask", samples=["11", 0], mask=[by, slot])


@pytest.mark.parametrize("channel", ["red", "green", "blue", "alpha"])
def test_a_mask_loader_reads_its_channel(tmp_path: Path, channel: str) -> None:
    loader = node("LoadImageMask", image="mask.png", channel=channel)
    assert template(tmp_path, n12=masked(), n20=loader).mask_form() == channel


def test_the_mask_of_a_picture_is_its_transparent_part(tmp_path: Path) -> None:
    assert template(tmp_path, n12=masked("20", 1), n20=node("LoadImage", image="mask.png")).mask_form() == "alpha"


def test_a_picture_may_be_made_a_mask(tmp_path: Path) -> None:
    nodes = {"n20": node("LoadImage", image="mask.png"), "n21": node("ImageToMask", image=["20", 0], channel="green")}
    assert template(tmp_path, n12=masked("21"), **nodes).mask_form() == "green"


@pytest.mark.parametrize(("channel", "form"), [("alpha", "opaque"), ("red", "black")])
def test_a_mask_may_be_inverted_on_its_way(tmp_path: Path, channel: str, form: str) -> None:
    loader = node("LoadImageMask", image="mask.png", channel=channel)
    once = {"n20": loader, "n21": node("GrowMask", mask=["20", 0], expand=4, tapered_corners=True)}
    once["n22"] = node("InvertMask", mask=["21", 0])
    assert template(tmp_path, n12=masked("22"), **once).mask_form() == form
    twice = {**once, "n23": node("InvertMask", mask=["22", 0])}
    assert template(tmp_path, n12=masked("23"), **twice).mask_form() == channel


def test_what_is_inverted_beside_the_way_does_not_count(tmp_path: Path) -> None:
    loader = node("LoadImageMask", image="mask.png", channel="red")
    beside = {"n20": loader, "n21": node("InvertMask", mask=["20", 0]), "n22": node("MaskPreview", mask=["21", 0])}
    assert template(tmp_path, n12=masked(), **beside).mask_form() == "red"


def test_a_picture_may_hold_its_own_mask(tmp_path: Path) -> None:
    encoded = node("VAEEncodeForInpaint", pixels=["10", 0], vae=["4", 2], mask=["10", 1], grow_mask_by=6)
    own = template(tmp_path, n12=encoded)
    assert (own.mask_form(), own.tasks, "mask" in own.parameters) == ("in_image", ("inpaint",), False)


def test_without_a_mask_there_is_no_form(tmp_path: Path) -> None:
    repeated = node("RepeatLatentBatch", samples=["11", 0], amount=1)
    assert template(tmp_path, n12=repeated).mask_form() is None


def test_the_shipped_one_is_white_where_to_repaint() -> None:
    shipped = Library(ROOT / "workflows").get("inpaint")
    assert isinstance(shipped, Template)
    assert shipped.mask_form() == "red"


def test_the_rules_for_dialects_are_read_under_either_name(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "dialects:\n  a1111: {ignore: [scheduler], rename: {cfg_scale: cfg}}\n  openai: {ignore: [size]}\n"
    )
    rules = template(tmp_path, n12=masked(), n20=node("LoadImageMask", image="a.png", channel="red")).dialects
    assert rules.keys() == {"automatic1111", "openai"}
    assert rules["automatic1111"].ignore == {"scheduler"}
    assert rules["automatic1111"].rename == {"cfg_scale": "cfg"}
    assert rules["openai"].rename == {}
