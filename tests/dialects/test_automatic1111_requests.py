"""What AUTOMATIC1111's fields ask of the bridge, by table."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

from comfybridge.request import GenerationRequest
from comfybridge.web.dialects.automatic1111.errors import UnknownChoice, Unprocessable
from comfybridge.web.dialects.automatic1111.fields import ImageToImageBody, TextToImageBody
from comfybridge.web.dialects.automatic1111.requests import Known, image_to_image, text_to_image
from comfybridge.workflow.dialect_rules import DialectRules
from comfybridge.workflow.library import Library
from comfybridge.workflow.template import Template
from tests import ROOT

# What webuiapi 0.9.17 sends for txt2img("a cat"), whatever it is asked to do.
WEBUIAPI = {
    "enable_hr": False, "hr_scale": 2, "hr_upscaler": "Latent", "hr_second_pass_steps": 0, "hr_resize_x": 0,
    "hr_resize_y": 0, "hr_checkpoint_name": None, "hr_sampler_name": None, "hr_scheduler": None, "hr_prompt": "",
    "hr_negative_prompt": "", "denoising_strength": 0.7, "firstphase_width": 0, "firstphase_height": 0,
    "prompt": "a cat", "styles": [], "seed": -1, "subseed": -1, "subseed_strength": 0.0, "seed_resize_from_h": 0,
    "seed_resize_from_w": 0, "batch_size": 1, "n_iter": 1, "steps": 20, "cfg_scale": 7.0, "width": 512, "height": 512,
    "restore_faces": False, "tiling": False, "do_not_save_samples": False, "do_not_save_grid": False,
    "negative_prompt": "", "eta": 1.0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0, "s_noise": 1, "override_settings": {},
    "override_settings_restore_afterwards": True, "sampler_name": "Euler a", "scheduler": "automatic",
    "sampler_index": "Euler a", "script_name": None, "script_args": [], "send_images": True, "save_images": False,
    "alwayson_scripts": {},
}  # fmt: skip


def template(name: str) -> Template:
    found = Library(ROOT / "workflows").get(name)
    assert isinstance(found, Template)
    return found


def without(name: str, *parameters: str) -> Template:
    """A template that lacks some of its parameters."""
    whole = template(name)
    kept = {each: value for each, value in whole.parameters.items() if each not in parameters}
    return replace(whole, parameters=kept)


def asked(fields: dict[str, Any], of: Template | None = None, known: Known | None = None) -> GenerationRequest:
    return text_to_image(TextToImageBody.model_validate(fields), of or template("txt2img"), known or Known())


def refused(fields: dict[str, Any], of: Template | None = None) -> list[str]:
    """The fields that a request is refused for."""
    with pytest.raises(Unprocessable) as caught:
        asked(fields, of)
    return [each.field for each in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        ({}, {}),
        ({"prompt": "x"}, {"prompt": "x"}),
        ({"prompt": "x", "negative_prompt": ""}, {"prompt": "x", "negative_prompt": ""}),
        ({"steps": "22", "cfg_scale": "4.5", "seed": 7.0}, {"steps": 22, "cfg": 4.5, "seed": 7}),
        ({"seed": -1, "subseed": -1}, {}),
        ({"seed": "", "steps": None, "width": None}, {}),
        ({"width": 64, "height": "64", "batch_size": 3}, {"width": 64, "height": 64, "batch_size": 3}),
        ({"sampler_name": "DPM++ 2M Karras"}, {"sampler_name": "dpmpp_2m", "scheduler": "karras"}),
        (
            {"sampler_name": "DPM++ 2M", "sampler_index": "Euler a"},
            {"sampler_name": "dpmpp_2m", "scheduler": "karras"},
        ),
        ({"sampler_index": "Euler a"}, {"sampler_name": "euler_ancestral", "scheduler": "normal"}),
        ({"sampler_name": "Euler"}, {"sampler_name": "euler"}),
        ({"denoising_strength": 0.3}, {}),
        ({"hr_scale": "1.0", "hr_upscaler": "Latent"}, {}),
        ({"override_settings": {"sd_model_checkpoint": "plain"}}, {"model": "plain.safetensors"}),
        ({"model": "plain.safetensors [6ce0161689]"}, {"model": "plain.safetensors"}),
        ({"model": "v1-5-pruned-emaonly-fp16"}, {}),
        ({"override_settings": {"sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1}}, {}),
        ({"url": "http://x", "auth": "me:secret", "whatever": {"a": 1}}, {}),
    ],
)
def test_the_parameters_that_fields_set(fields: dict[str, Any], params: dict[str, Any]) -> None:
    made = asked(fields, known=Known(models=lambda: ["plain.safetensors", "other.safetensors"]))
    assert made.params == params
    assert made.workflow == "txt2img"
    assert (made.n, made.output.format, made.lora_tags) == (1, "png", True)


def test_what_webuiapi_always_sends_asks_for_nothing_special() -> None:
    made = asked(WEBUIAPI)
    assert made.params == {
        "prompt": "a cat",
        "negative_prompt": "",
        "steps": 20,
        "cfg": 7.0,
        "sampler_name": "euler_ancestral",
        "scheduler": "normal",
        "width": 512,
        "height": 512,
        "batch_size": 1,
    }
    assert made.warnings == []


def test_it_suits_a_workflow_without_any_of_it_too() -> None:
    bare = without("txt2img", *template("txt2img").parameters.keys() - {"prompt"})
    assert asked(WEBUIAPI, bare).params == {"prompt": "a cat"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"enable_hr": True}, ["enable_hr"]),
        ({"restore_faces": True, "tiling": "true"}, ["restore_faces", "tiling"]),
        ({"styles": ["Film"]}, ["styles"]),
        ({"subseed_strength": 0.1}, ["subseed_strength"]),
        ({"script_name": "X/Y/Z plot"}, ["script_name"]),
        ({"refiner_checkpoint": "xl"}, ["refiner_checkpoint"]),
        ({"eta": 0.5}, ["eta"]),
        ({"alwayson_scripts": {"ADetailer": {"args": [True, {"ad_model": "face.pt"}]}}}, ["alwayson_scripts"]),
        ({"alwayson_scripts": {"ADetailer": {"args": [{"ad_model": "face.pt"}]}}}, ["alwayson_scripts"]),
        ({"alwayson_scripts": {"ControlNet": {"args": [{"model": "canny", "enabled": True}]}}}, ["alwayson_scripts"]),
        ({"alwayson_scripts": {"roop": {"args": ["data", True, "0"]}}}, ["alwayson_scripts"]),
        ({"override_settings": {"samples_format": "gif"}}, ["override_settings.samples_format"]),
        ({"clip_skip": 2}, ["clip_skip"]),
        ({"override_settings": {"sd_vae": "x.pt"}}, ["override_settings.sd_vae"]),
        ({"override_settings": {"CLIP_stop_at_last_layers": 2}}, ["override_settings.CLIP_stop_at_last_layers"]),
        ({"distilled_cfg_scale": 2}, ["distilled_cfg_scale"]),
        ({"n_iter": 64, "batch_size": 64, "tiling": True}, ["tiling"]),
    ],
)
def test_what_a_workflow_cannot_do_is_refused_by_field(fields: dict[str, Any], wrong: list[str]) -> None:
    assert refused(fields, without("txt2img", "clip_skip")) == wrong


@pytest.mark.parametrize(
    "fields",
    [
        {"enable_hr": False, "tiling": None, "styles": [], "script_name": "None", "refiner_checkpoint": ""},
        {"eta": 0, "s_noise": 1, "s_churn": 0, "subseed_strength": 0, "seed_resize_from_h": -1},
        {"alwayson_scripts": {"ADetailer": {"args": [False]}, "ControlNet": {"args": []}, "animatediff": {}}},
        {"alwayson_scripts": {"ADetailer": {"args": [False, False, {"ad_model": "face.pt"}]}}},
        {"alwayson_scripts": {"ADetailer": {"args": [{"ad_model": "None"}]}}},
        {"alwayson_scripts": {"ControlNet": {"args": [{"model": "canny", "enabled": False}]}}},
        {"alwayson_scripts": {"Sampler": {"args": [20, "Euler", "Automatic"]}, "Seed": {"args": [-1, False, -1]}}},
        {"alwayson_scripts": []},
        {"styles": [""], "denoising_strength": None, "hr_second_pass_steps": 0},
        {"styles": ["None"], "clip_skip": 1, "override_settings": {"CLIP_stop_at_last_layers": 1}},
    ],
)
def test_harmless_values_are_taken(fields: dict[str, Any]) -> None:
    assert asked(fields).params == {}


def test_a_workflow_with_a_parameter_for_it_gets_it() -> None:
    whole = template("txt2img")
    steps = whole.parameters["steps"]
    able = replace(whole, parameters={**whole.parameters, "tiling": replace(steps, name="tiling", type="boolean")})
    assert asked({"tiling": True}, able).params == {"tiling": True}


def test_a_workflow_ignores_and_renames_what_it_says() -> None:
    rules = DialectRules(
        frozenset(["sampler_name", "scheduler", "negative_prompt", "tiling"]), {"cfg_scale": "denoise"}
    )
    ruled = replace(without("txt2img", "negative_prompt"), dialects={"automatic1111": rules})
    fields = {**WEBUIAPI, "negative_prompt": "fog", "sampler_name": "Nonsense", "tiling": True, "cfg_scale": 0.5}
    made = asked(fields, ruled).params
    assert made["denoise"] == 0.5
    assert not made.keys() & {"sampler_name", "scheduler", "negative_prompt", "cfg"}


def test_a_value_that_no_parameter_takes_is_refused_unless_it_is_the_usual_one() -> None:
    bare = without("txt2img", "steps", "negative_prompt", "sampler_name", "scheduler", "seed")
    assert refused({"steps": 8}, bare) == ["steps"]
    assert refused({"negative_prompt": "fog", "seed": 5}, bare) == ["negative_prompt", "seed"]
    assert refused({"sampler_name": "DPM++ 2M Karras"}, bare) == ["sampler_name"]
    assert asked({"sampler_name": "DPM++ 2M Karras"}, without("txt2img", "scheduler")).params == {
        "sampler_name": "dpmpp_2m"
    }
    assert refused({"scheduler": "Karras"}, without("txt2img", "scheduler")) == ["scheduler"]


def test_several_prompts_have_seeds_of_their_own() -> None:
    made = asked({"n_iter": 3, "batch_size": 2, "seed": 5})
    assert (made.n, made.seed_step, made.params["batch_size"], made.params["seed"]) == (3, 2, 2, 5)
    made = asked({"n_iter": 3, "batch_size": 2, "seed": 5}, without("txt2img", "batch_size"))
    assert (made.n, made.seed_step) == (6, 1)
    assert refused({"n_iter": 40, "batch_size": 2}, without("txt2img", "batch_size")) == ["n_iter"]


def test_the_models_that_callers_choose() -> None:
    known = Known(models=lambda: ["plain.safetensors"], default_model="plain.safetensors")
    assert asked({}, known=known).params == {"model": "plain.safetensors"}
    with pytest.raises(UnknownChoice, match=r"'nothing'; there are plain\.safetensors"):
        asked({"model": "nothing"}, known=known)
    assert asked({}, without("txt2img", "model"), known).warnings == [
        "The model plain.safetensors is not used: the workflow has its own."
    ]
    assert refused({"model": "other"}, without("txt2img", "model")) == ["model"]
    assert asked({"model": "v1-5-pruned-emaonly-fp16"}, without("txt2img", "model")).params == {}


def test_settings_that_a_request_overrides() -> None:
    made = asked({"override_settings": {"samples_format": "JPG", "eta_noise_seed_delta": 31337}})
    assert made.output.format == "jpeg"
    assert made.warnings == ["override_settings: eta_noise_seed_delta has no effect."]


def test_layers_are_counted_from_the_end() -> None:
    assert asked({"clip_skip": 2}).params == {"clip_skip": -2}
    assert asked({"override_settings": {"CLIP_stop_at_last_layers": 2}}).params == {"clip_skip": -2}
    assert asked({"override_settings": {"CLIP_stop_at_last_layers": 1}}).params == {}
    assert asked({"override_settings": {"CLIP_stop_at_last_layers": "2.0"}}).params == {"clip_skip": -2}


@pytest.mark.parametrize("value", [25, "many", 1.5, [2], True])
def test_layers_that_there_are_none_of_are_refused_by_the_field_that_was_sent(value: object) -> None:
    wrong = refused({"override_settings": {"CLIP_stop_at_last_layers": value}})
    assert wrong == ["override_settings.CLIP_stop_at_last_layers"]


def test_switches_may_be_written_as_numbers_and_numbers_as_switches() -> None:
    body = ImageToImageBody.model_validate({"send_images": 0, "tiling": 1.0, "inpainting_mask_invert": True})
    assert (body.send_images, body.tiling, body.inpainting_mask_invert) == (False, True, 1)
    with pytest.raises(ValidationError):
        ImageToImageBody.model_validate({"send_images": 2})


def test_tags_in_prompts_can_be_switched_off() -> None:
    assert not asked({"disable_extra_networks": True}).lora_tags


# -- pictures ------------------------------------------------------------------------------------------------------


def encoded(image: Image.Image, prefix: str = "data:image/png;base64,") -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return prefix + base64.b64encode(buffer.getvalue()).decode()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def halves() -> Image.Image:
    """Red on the left, blue on the right; twice as wide as high."""
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    return image


def left_half() -> Image.Image:
    mask = Image.new("L", (80, 40))
    ImageDraw.Draw(mask).rectangle((0, 0, 39, 39), fill=255)
    return mask


def from_image(fields: dict[str, Any], of: str = "img2img") -> GenerationRequest:
    fields = {"init_images": [encoded(halves())], **fields}
    return image_to_image(ImageToImageBody.model_validate(fields), template(of), Known())


def problem(fields: dict[str, Any], of: str = "img2img") -> str:
    with pytest.raises(Unprocessable) as caught:
        from_image(fields, of)
    [found] = caught.value.problems
    return f"{found.field}: {found.message}"


def test_a_picture_goes_as_it_came_unless_it_has_to_change() -> None:
    sent = encoded(halves(), prefix="")
    [file] = from_image({"init_images": [sent], "denoising_strength": 0.4}).images
    assert (file.name, base64.b64encode(file.data).decode()) == ("image", sent)
    [file] = from_image({"init_images": sent, "width": 80, "height": 40}).images
    assert base64.b64encode(file.data).decode() == sent
    assert from_image({"denoising_strength": 0.4}).params == {"denoise": 0.4}


@pytest.mark.parametrize(
    ("mode", "left", "right", "top"),
    [
        (0, (255, 0, 0), (0, 0, 255), (255, 0, 0)),
        (3, (255, 0, 0), (0, 0, 255), (255, 0, 0)),
        (1, (255, 0, 0), (0, 0, 255), (255, 0, 0)),
        (2, (255, 0, 0), (0, 0, 255), (255, 0, 0)),
    ],
)
def test_the_ways_to_another_size(mode: int, left: Any, right: Any, top: Any) -> None:
    [file] = from_image({"width": 60, "height": 60, "resize_mode": mode}).images
    image = opened(file.data)
    assert image.size == (60, 60)
    assert (image.getpixel((4, 30)), image.getpixel((55, 30)), image.getpixel((4, 2))) == (left, right, top)


def test_a_cropped_picture_loses_its_sides_and_a_filled_one_keeps_them() -> None:
    image = halves()
    image.paste("green", (0, 0, 10, 40))
    sent = {"init_images": [encoded(image)], "width": 60, "height": 60}
    cropped, filled = (opened(from_image({**sent, "resize_mode": mode}).images[0].data) for mode in (1, 2))
    assert cropped.getpixel((1, 30)) == (255, 0, 0)
    assert filled.getpixel((1, 30)) == (0, 128, 0)
    assert filled.getpixel((1, 1)) == (0, 128, 0)


def test_one_side_may_be_left_as_it_is() -> None:
    [file] = from_image({"height": 20}).images
    assert opened(file.data).size == (80, 20)


def test_a_mask_is_white_where_to_repaint() -> None:
    made = from_image({"mask": encoded(left_half())}, "inpaint")
    mask = opened(next(each.data for each in made.images if each.name == "mask")).convert("RGB")
    assert (mask.getpixel((5, 20)), mask.getpixel((75, 20))) == ((255, 255, 255), (0, 0, 0))


@pytest.mark.parametrize(
    ("fields", "left", "edge", "right"),
    [
        ({"inpainting_mask_invert": 1}, 0, (0, 0), 255),
        ({"inpainting_mask_invert": 0}, 255, (255, 255), 0),
        ({"mask_blur": 8}, 255, (100, 160), 0),
        ({"mask_blur_x": 8, "mask_blur": 0}, 255, (100, 160), 0),
        ({"mask_blur_y": 8}, 255, (255, 255), 0),
    ],
)
def test_how_a_mask_is_prepared(fields: dict[str, Any], left: int, edge: tuple[int, int], right: int) -> None:
    made = from_image({"mask": encoded(left_half()), **fields}, "inpaint")
    mask = opened(next(each.data for each in made.images if each.name == "mask")).convert("L")
    assert (mask.getpixel((2, 20)), mask.getpixel((77, 20))) == (left, right)
    assert edge[0] <= int(mask.getpixel((39, 20))) <= edge[1]  # type: ignore[arg-type]  # of mode L


def test_a_mask_may_be_in_an_alpha_channel() -> None:
    image = Image.new("RGBA", (80, 40), "black")
    image.putalpha(left_half())
    made = from_image({"mask": encoded(image)}, "inpaint")
    mask = opened(next(each.data for each in made.images if each.name == "mask")).convert("L")
    assert (mask.getpixel((2, 20)), mask.getpixel((77, 20))) == (255, 0)


def test_the_mask_has_the_size_of_the_picture() -> None:
    made = from_image({"mask": encoded(left_half().resize((40, 20))), "width": 64, "height": 64}, "inpaint")
    assert {opened(each.data).size for each in made.images} == {(64, 64)}


def test_the_masked_place_starts_from_the_colours_around_it_if_asked() -> None:
    fields = {"mask": encoded(left_half()), "inpainting_fill": 0}
    image = opened(next(each.data for each in from_image(fields, "inpaint").images if each.name == "image"))
    red, _, blue = image.convert("RGB").getpixel((5, 20))  # type: ignore[misc]  # of mode RGB
    assert blue > 200 > red
    kept = from_image({**fields, "inpainting_fill": 1}, "inpaint").images
    assert opened(kept[0].data).convert("RGB").getpixel((5, 20)) == (255, 0, 0)
    assert problem({**fields, "inpainting_fill": 2}, "inpaint").startswith("inpainting_fill: ")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"init_images": []}, "init_images: init_images has no picture"),
        ({"init_images": None}, "init_images: init_images has no picture"),
        ({"init_images": ["!!"]}, "init_images: "),
        (
            {"init_images": [encoded(halves())] * 2},
            "init_images: init_images has 2 pictures; the workflow img2img takes 1",
        ),
        ({"init_images": ["aGVsbG8gd29ybGQ="], "width": 64}, "init_images: init_images is not a picture"),
        ({"width": 16384, "height": 16384}, "init_images: init_images has, or would have, more than"),
    ],
)
def test_pictures_that_cannot_be_used(fields: dict[str, Any], said: str) -> None:
    assert problem(fields).startswith(said)


def test_a_broken_mask_is_told() -> None:
    assert problem({"mask": "aGVsbG8gd29ybGQ="}, "inpaint").startswith("mask: mask is not a picture")
    assert problem({"mask": "http://127.0.0.1/x.png"}, "inpaint").startswith("mask: mask is a URL")
