"""`webuiapi`, unmodified, on the bridge. Needs what `requirements-dev.txt` brings; CI has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from PIL import Image, ImageDraw

from tests.served import served

webuiapi = pytest.importorskip("webuiapi", reason="requirements-dev.txt brings it")

SMALL = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2}
LISTS = (
    *("get_samplers", "get_schedulers", "get_sd_vae", "get_upscalers", "get_loras", "get_sd_models"),
    *("get_latent_upscale_modes", "get_hypernetworks", "get_face_restorers", "get_realesrgan_models"),
    "get_prompt_styles",
)
OBJECTS = ("get_options", "get_cmd_flags", "get_progress", "get_scripts", "get_embeddings", "get_memory")


@pytest.fixture
def client(url: str) -> Any:
    return webuiapi.WebUIApi(port=urlsplit(url).port)


def test_pictures_of_a_text(client: Any) -> None:
    result = client.txt2img(**SMALL, negative_prompt="blur", seed=7, sampler_name="DPM++ 2M Karras", n_iter=2)
    assert [each.size for each in result.images] == [(64, 64), (64, 64)]
    assert result.info["all_seeds"] == [7, 8]
    assert result.info["sampler_name"] == "DPM++ 2M"
    assert result.image.info["parameters"] == result.info["infotexts"][0]


def test_all_its_defaults_are_accepted(client: Any) -> None:
    assert client.txt2img(prompt="a cat").image.size == (512, 512)


def test_pictures_of_a_picture_and_of_a_part_of_it(client: Any) -> None:
    image, mask = Image.new("RGB", (100, 80), "red"), Image.new("L", (100, 80))
    ImageDraw.Draw(mask).rectangle((10, 10, 50, 50), fill=255)
    result = client.img2img(images=[image], **SMALL, denoising_strength=0.5)
    assert (result.image.size, result.info["denoising_strength"]) == ((64, 64), 0.5)
    assert client.img2img(images=[image], mask_image=mask, **SMALL, resize_mode=2).image.size == (64, 64)


def test_larger_pictures(client: Any) -> None:
    image = Image.new("RGB", (40, 20), "red")
    assert client.extra_single_image(image, upscaler_1=webuiapi.Upscaler.Lanczos).image.size == (80, 40)
    assert client.extra_single_image(image).image.size == (80, 40)
    results = client.extra_batch_images([image, image], upscaler_1="Nearest", upscaling_resize=1.5).images
    assert [each.size for each in results] == [(60, 30), (60, 30)]


def test_what_a_picture_holds(client: Any) -> None:
    result = client.txt2img(**SMALL)
    assert client.png_info(result.image).info == result.info["infotexts"][0]


@pytest.mark.parametrize(("names", "kind"), [(LISTS, list), (OBJECTS, dict)])
def test_its_lists(client: Any, names: tuple[str, ...], kind: type) -> None:
    for name in names:
        answer = getattr(client, name)()
        assert isinstance(answer, kind), name
        assert "error" not in answer, name


def test_a_model_is_chosen(client: Any) -> None:
    models = client.util_get_model_names()
    client.util_set_model(models[0].upper())
    assert client.util_get_current_model() == models[0]
    assert client.txt2img(**SMALL).info["sd_model_name"] in models[0]


def test_it_waits_until_nothing_is_under_way(client: Any) -> None:
    client.util_wait_for_ready(check_interval=0.1)
    assert client.interrupt() == {}
    assert client.skip() is None
    assert client.refresh_checkpoints() is None
    assert client.set_options(client.get_options()) is None


def test_it_names_what_cannot_be_done(client: Any) -> None:
    with pytest.raises(RuntimeError, match="enable_hr"):
        client.txt2img(**SMALL, enable_hr=True)
    with pytest.raises(RuntimeError, match="alwayson_scripts"):
        client.txt2img(**SMALL, alwayson_scripts={}, adetailer=[webuiapi.ADetailer(ad_model="face_yolov8n.pt")])


def test_its_password_is_the_key(make_app: Callable[..., Flask]) -> None:
    with served(make_app(api_keys="shop=shop-secret")) as url:
        client = webuiapi.WebUIApi(port=urlsplit(url).port, username="anyone", password="shop-secret")
        assert client.txt2img(**SMALL).image.size == (64, 64)
        client.set_auth("anyone", "wrong")
        with pytest.raises(RuntimeError, match="401"):
            client.txt2img(**SMALL)
