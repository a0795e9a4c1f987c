"""From OpenAI's fields and a template to a request of the bridge's own: no server, no HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from comfybridge.errors import InvalidRequest
from comfybridge.files.sent import LinkedFile
from comfybridge.request import InputFile, OutputOptions
from comfybridge.settings import SHIPPED_WORKFLOWS
from comfybridge.web.dialects.openai.requests import Pictures, field_named, request_of
from comfybridge.web.dialects.openai.schemas import EditBody, ImagesBody
from comfybridge.workflow.dialect_rules import DialectRules
from comfybridge.workflow.library import Library
from comfybridge.workflow.template import Template
from tests.dialects.pictures import HOLE, RED, SIDE, as_png, mask, opened

LIBRARY = Library(SHIPPED_WORKFLOWS)
IMAGE = InputFile("image", RED)


def template(name: str = "txt2img", **changes: Any) -> Template:
    found = LIBRARY.get(name)
    assert isinstance(found, Template)
    return replace(found, **changes)


def fields(**given: Any) -> ImagesBody:
    return ImagesBody(**{"prompt": "a cat", **given})


@pytest.mark.parametrize(
    ("given", "params"),
    [
        ({}, {}),
        ({"size": "512x768"}, {"width": 512, "height": 768}),
        ({"size": "512X768"}, {"width": 512, "height": 768}),
        ({"size": "auto"}, {}),
        ({"size": ""}, {}),
        ({"size": None, "n": None, "quality": None}, {}),
        ({"size": "512x768", "width": 64}, {"width": 64, "height": 768}),
        ({"n": 1}, {"batch_size": 1}),
        ({"n": 3}, {"batch_size": 3}),
        ({"n": "3"}, {"batch_size": 3}),
        ({"n": 3.0}, {"batch_size": 3}),
        ({"seed": -1, "steps": "8", "cfg": "1.5"}, {"seed": -1, "steps": 8, "cfg": 1.5}),
        ({"negative_prompt": "", "denoise": 0.5}, {"negative_prompt": "", "denoise": 0.5}),
        ({"sampler_name": "euler", "scheduler": "karras"}, {"sampler_name": "euler", "scheduler": "karras"}),
        ({"params": {"3.cfg": 5, "steps": 4}, "steps": 8}, {"3.cfg": 5, "steps": 4}),
        ({"user": "u1", "moderation": "low", "style": "vivid", "safety_identifier": "s"}, {}),
        ({"complexity": "high", "input_fidelity": "low", "background": "auto", "quality": "auto"}, {}),
        ({"frame_count": None, "svg": None}, {}),
    ],
)
def test_fields_become_parameters(given: dict[str, Any], params: dict[str, Any]) -> None:
    request = request_of(fields(**given), template())
    assert request.params == {"prompt": "a cat", **params}
    assert (request.workflow, request.n, request.warnings) == ("txt2img", 1, [])
    assert request.lora_tags


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, OutputOptions()),
        ({"output_format": "webp"}, OutputOptions("webp")),
        ({"output_format": "jpeg", "output_compression": 80}, OutputOptions("jpeg", quality=80)),
        ({"output_format": "jpeg", "output_compression": "0"}, OutputOptions("jpeg", quality=1)),
    ],
)
def test_the_format_is_an_output_option(given: dict[str, Any], options: OutputOptions) -> None:
    assert request_of(fields(**given), template()).output == options


def test_a_workflow_without_batches_runs_several_times() -> None:
    plain = template()
    alone = {name: each for name, each in plain.parameters.items() if name != "batch_size"}
    request = request_of(fields(n=4), replace(plain, parameters=alone))
    assert (request.n, "batch_size" in request.params) == (4, False)
    few = {**plain.parameters, "batch_size": replace(plain.parameters["batch_size"], max=2)}
    assert request_of(fields(n=4), replace(plain, parameters=few)).n == 4
    assert request_of(fields(n=2), replace(plain, parameters=few)).params["batch_size"] == 2


def test_a_workflow_without_a_size_or_a_prompt_warns() -> None:
    request = request_of(fields(size="1024x1024"), template("upscale"), pictures=Pictures([IMAGE]))
    assert request.params == {}
    assert request.warnings == [
        "The workflow upscale takes no prompt, which is ignored.",
        "The workflow upscale takes no size, which is ignored.",
    ]


@pytest.mark.parametrize(
    ("quality", "chosen"),
    [
        ("low", {"quality": "low"}),
        ("high", {"quality": "high"}),
        ("standard", {"quality": "medium"}),
        ("hd", {"quality": "high"}),
        ("max", {}),
        ("auto", {}),
    ],
)
def test_quality_is_a_preset(quality: str, chosen: dict[str, str]) -> None:
    values: dict[str, Any] = {"quality": {"low": {"steps": 4}, "medium": {"steps": 20}, "high": {"steps": 40}}}
    assert request_of(fields(quality=quality), template(presets=values)).presets == chosen
    assert request_of(fields(quality=quality), template(presets={})).presets == {}


def test_transparency_needs_a_preset() -> None:
    values: dict[str, Any] = {"background": {"transparent": {"steps": 4}}}
    transparent = fields(background="transparent")
    assert request_of(transparent, template(presets=values)).presets == {"background": "transparent"}
    assert request_of(fields(background="opaque"), template(presets=values)).presets == {}
    with pytest.raises(InvalidRequest, match="background is transparent") as error:
        request_of(transparent, template())
    assert error.value.field == "background"
    with pytest.raises(InvalidRequest, match="jpeg"):
        request_of(fields(background="transparent", output_format="jpeg"), template(presets=values))


def test_a_template_ignores_and_renames_fields() -> None:
    rules = {"openai": DialectRules(frozenset({"negative_prompt", "size"}), {"cfg": "guidance"})}
    request = request_of(fields(negative_prompt="blur", size="64x64", cfg=3.5), template(dialects=rules))
    assert request.params == {"prompt": "a cat", "guidance": 3.5}
    assert request.warnings == []
    rules = {"openai": DialectRules(frozenset({"quality", "background", "n", "prompt", "model"}), {})}
    asked = fields(quality="low", background="transparent", n=3)
    request = request_of(asked, template(dialects=rules), "xl.safetensors")
    assert (request.params, request.presets, request.n) == ({}, {}, 1)
    rules = {"openai": DialectRules(frozenset(), {"n": "steps"})}
    assert request_of(fields(n=3), template(dialects=rules)).params["steps"] == 3
    other = {"automatic1111": DialectRules(frozenset({"negative_prompt"}), {})}
    assert "negative_prompt" in request_of(fields(negative_prompt="blur"), template(dialects=other)).params


def test_a_model_is_the_parameter_of_that_name() -> None:
    assert request_of(fields(), template(), "xl.safetensors").params["model"] == "xl.safetensors"


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("width", {"size": "1x1"}, "size"),
        ("width", {"width": 1}, "width"),
        ("batch_size", {"n": 5}, "n"),
        ("guidance", {"cfg": 5}, "cfg"),
        ("steps", {}, "steps"),
        (None, {}, None),
    ],
)
def test_errors_name_the_field_that_was_sent(name: str | None, given: dict[str, Any], shown: str | None) -> None:
    rules = {"openai": DialectRules(frozenset(), {"cfg": "guidance"})}
    assert field_named(name, fields(**given), template(dialects=rules)) == shown


# -- files -----------------------------------------------------------------------------------------------------------


def edit(chosen: Template, *images: InputFile, mask: bytes | None = None) -> dict[str, bytes]:
    """The files of a request, by name."""
    sent = Pictures(images, None if mask is None else InputFile("mask", mask))
    request = request_of(EditBody(prompt="a cat"), chosen, pictures=sent)
    return {file.name: file.data for file in request.images}


def test_pictures_are_for_the_image_parameters() -> None:
    plain = template("img2img")
    assert edit(plain, InputFile("x", RED)) == {"image": RED}
    second = replace(plain.parameters["image"], name="image_2")
    two = replace(plain, parameters={**plain.parameters, "image_2": second})
    assert list(edit(two, IMAGE, IMAGE)) == ["image", "image_2"]
    assert list(edit(two, IMAGE)) == ["image"]
    with pytest.raises(InvalidRequest, match="has 2 pictures, but the workflow img2img takes one picture") as error:
        edit(plain, IMAGE, IMAGE)
    assert error.value.field == "image"
    with pytest.raises(InvalidRequest, match="txt2img takes no picture"):
        edit(template(), IMAGE)


def test_a_link_stays_a_link() -> None:
    [file] = request_of(
        EditBody(prompt="x"), template("img2img"), pictures=Pictures([LinkedFile("x", url="https://x/y.png")])
    ).images
    assert isinstance(file, LinkedFile)
    assert (file.name, file.url) == ("image", "https://x/y.png")


def test_a_mask_is_refused_where_there_is_none() -> None:
    with pytest.raises(InvalidRequest, match="upscale takes no mask") as error:
        edit(template("upscale"), IMAGE, mask=mask())
    assert error.value.field == "mask"


def masked(class_type: str, channel: str, *, is_inverted: bool = False) -> Template:
    """The shipped template for inpainting with another way to read the mask."""
    plain = template("inpaint")
    [target] = plain.parameters["mask"].targets
    graph = {name: {**node, "inputs": dict(node["inputs"])} for name, node in plain.graph.items()}
    inputs = {"image": "mask.png"} if class_type == "LoadImage" else {"image": "mask.png", "channel": channel}
    graph[target.node] = {"class_type": class_type, "inputs": inputs}
    slot = 1 if class_type == "LoadImage" else 0
    source: list[Any] = [target.node, slot]
    if is_inverted:
        graph["invert"] = {"class_type": "InvertMask", "inputs": {"mask": source}}
        source = ["invert", 0]
    for name, node in graph.items():
        for input_name, value in node["inputs"].items():
            if isinstance(value, list) and value[0] == target.node and name != "invert":
                node["inputs"][input_name] = source
    return replace(plain, graph=graph)


@pytest.mark.parametrize(
    ("chosen", "channel", "inside", "outside"),
    [
        (masked("LoadImage", "alpha"), "A", 0, 255),
        (masked("LoadImageMask", "alpha"), "A", 0, 255),
        (masked("LoadImageMask", "alpha", is_inverted=True), "A", 255, 0),
        (masked("LoadImageMask", "red"), "R", 255, 0),
        (masked("LoadImageMask", "green"), "G", 255, 0),
        (masked("LoadImageMask", "red", is_inverted=True), "R", 0, 255),
    ],
)
def test_a_mask_is_sent_as_the_template_reads_it(chosen: Template, channel: str, inside: int, outside: int) -> None:
    sent = opened(edit(chosen, IMAGE, mask=mask())["mask"]).convert("RGBA").getchannel(channel)
    assert sent.getpixel((HOLE[0], HOLE[1])) == inside
    assert sent.getpixel((0, 0)) == outside
    assert sent.size == (SIDE, SIDE)


def test_a_mask_that_fits_is_handed_on_as_it_is() -> None:
    assert edit(masked("LoadImage", "alpha"), IMAGE, mask=mask())["mask"] == mask()


def test_a_mask_becomes_the_transparency_of_the_picture_where_the_template_reads_that() -> None:
    plain = masked("LoadImage", "alpha")
    [target] = plain.parameters["mask"].targets
    image = next(
        name for name, node in plain.graph.items() if node["class_type"] == "LoadImage" and name != target.node
    )
    graph = {name: {**node, "inputs": dict(node["inputs"])} for name, node in plain.graph.items()}
    del graph[target.node]
    for node in graph.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and value[0] == target.node:
                node["inputs"][name] = [image, 1]
    parameters = {name: each for name, each in plain.parameters.items() if name != "mask"}
    files = edit(replace(plain, graph=graph, parameters=parameters), IMAGE, mask=mask())
    assert list(files) == ["image"]
    sent = opened(files["image"])
    assert sent.getpixel((HOLE[0], HOLE[1])) == (255, 0, 0, 0)
    assert sent.getpixel((0, 0)) == (255, 0, 0, 255)


def test_a_mask_must_be_transparent_somewhere() -> None:
    black = as_png(Image.new("L", (SIDE, SIDE)))
    for chosen in (template("inpaint"), masked("LoadImage", "alpha")):
        with pytest.raises(InvalidRequest, match="no transparency") as error:
            edit(chosen, IMAGE, mask=black)
        assert error.value.field == "mask"
