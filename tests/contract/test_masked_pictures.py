"""Pictures that are enlarged, and laid over each other by a mask, as the shipped templates do it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.graphs import node, plain, unique
from tests.contract.server import Server


def saved(link: list[Any]) -> dict[str, Any]:
    return node("SaveImage", images=link, filename_prefix=f"contract/{unique()}/x")


def pictures(server: Server, prompt_id: str) -> list[Image.Image]:
    """What node 9 has saved."""
    files = server.files(prompt_id, "9")
    return [Image.open(io.BytesIO(server.get("/view", **each).content)).convert("RGB") for each in files]


def file_mask(server: Server) -> str:
    """The name of an input file of 32 x 24 pixels, white on its left half."""
    picture = Image.new("RGB", (32, 24))
    picture.paste("white", (0, 0, 16, 24))
    content = io.BytesIO()
    picture.save(content, "PNG")
    name = f"{unique()}.png"
    assert server.upload(content.getvalue(), name).status_code == 200
    return name


@pytest.mark.parametrize("size", [(32, 24), (16, 12)])
def test_a_source_is_laid_over_a_picture_where_the_mask_is_white(
    server: Server, ear: Ear, size: tuple[int, int]
) -> None:
    graph = {
        "1": node("EmptyImage", width=32, height=24, batch_size=1, color=0xFF0000),
        "2": node("EmptyImage", width=size[0], height=size[1], batch_size=1, color=0x0000FF),
        "3": node("LoadImageMask", image=file_mask(server), channel="red"),
        "4": node("RepeatImageBatch", image=["1", 0], amount=2),
        "5": node(
            "ImageCompositeMasked", destination=["4", 0], source=["2", 0], x=0, y=0, resize_source=True, mask=["3", 0]
        ),
        "9": saved(["5", 0]),
    }
    done = pictures(server, server.run(graph, ear))
    assert len(done) == 2
    for picture in done:
        assert (picture.getpixel((0, 0)), picture.getpixel((15, 23))) == ((0, 0, 255), (0, 0, 255))
        assert (picture.getpixel((16, 0)), picture.getpixel((31, 23))) == ((255, 0, 0), (255, 0, 0))


def test_a_picture_is_scaled_to_the_size_of_another(server: Server, ear: Ear) -> None:
    graph = {
        "1": plain(30, 20),
        "2": node("ImageScaleBy", image=["1", 0], upscale_method="nearest-exact", scale_by=1.5),
        "3": node("GetImageSize", image=["2", 0]),
        "4": node(
            "ImageScale", image=["1", 0], upscale_method="lanczos", width=["3", 0], height=["3", 1], crop="disabled"
        ),
        "9": saved(["4", 0]),
    }
    assert [each.size for each in pictures(server, server.run(graph, ear))] == [(45, 30)]


def test_latents_are_repeated(server: Server, ear: Ear, checkpoint: str) -> None:
    graph = graphs.txt2img(checkpoint, steps=1)
    graph["10"] = node("RepeatLatentBatch", samples=["5", 0], amount=2)
    graph["3"]["inputs"]["latent_image"] = ["10", 0]
    assert len(pictures(server, server.run(graph, ear))) == 2


def test_an_upscale_model_that_is_not_there_is_refused_or_fails(server: Server, ear: Ear) -> None:
    wanted = {
        "1": plain(),
        "2": node("UpscaleModelLoader", model_name=f"{unique()}.pth"),
        "3": node("ImageUpscaleWithModel", upscale_model=["2", 0], image=["1", 0]),
        "9": saved(["3", 0]),
    }
    response = server.post("/prompt", {"prompt": wanted, "client_id": ear.client_id})
    if response.status_code == 400:  # older versions don't look
        errors = response.json()["node_errors"]["2"]["errors"]
        assert [each["type"] for each in errors] == ["value_not_in_list"]
    else:
        failure = ear.until("execution_error").data
        assert (failure["node_id"], failure["exception_type"]) == ("2", "FileNotFoundError")


def test_an_upscale_model_enlarges(server: Server, ear: Ear) -> None:
    names = server.get("/models/upscale_models").json()
    if not names:
        pytest.skip("this ComfyUI has no upscale model")
    graph = {
        "1": plain(),
        "2": node("UpscaleModelLoader", model_name=names[0]),
        "3": node("ImageUpscaleWithModel", upscale_model=["2", 0], image=["1", 0]),
        "9": saved(["3", 0]),
    }
    (picture,) = pictures(server, server.run(graph, ear))
    assert picture.size == (128, 96)
