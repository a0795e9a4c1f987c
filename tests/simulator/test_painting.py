"""The painted pictures: one sees which request they answer."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from comfybridge.simulator import Simulator
from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server

CHECKPOINT = "demo.safetensors"


def painted(server: Server, ear: Ear, node: str = "9", **inputs: Any) -> list[Image.Image]:
    """The pictures of the usual graph with a fixed seed and these inputs, given as NODE_INPUT."""
    graph = graphs.txt2img(CHECKPOINT, width=128, height=96)
    graph["3"]["inputs"]["seed"] = 1
    for name, value in inputs.items():
        place, _, field = name.removeprefix("n").partition("_")
        graph[place]["inputs"][field] = value
    return pictures(server, server.run(graph, ear), node)


def pictures(server: Server, prompt_id: str, node: str) -> list[Image.Image]:
    contents = [server.get("/view", **file).content for file in server.files(prompt_id, node)]
    return [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean distance of two pictures' pixels, from 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def test_the_same_request_gives_the_same_picture(server: Server, sim: Simulator, ear: Ear) -> None:
    [first] = painted(server, ear)
    sim.restart()
    ear = Ear(sim.url)
    [second] = painted(server, ear)
    ear.close()

    assert first.size == (128, 96)
    assert difference(first, second) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"n6_text": "a dog"},
        {"n7_text": "worse"},
        {"n3_seed": 2},
        {"n3_steps": 3},
        {"n3_sampler_name": "heun"},
        {"n5_width": 120},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_request_gives_another_picture(server: Server, ear: Ear, change: dict[str, Any]) -> None:
    [usual], [other] = painted(server, ear), painted(server, ear, **change)

    assert difference(usual, other.resize(usual.size)) > 5


def test_another_checkpoint_gives_another_picture() -> None:
    with Simulator(step_seconds=0, checkpoints=[CHECKPOINT, "other.safetensors"]) as sim:
        server, ear = Server(sim.url), Ear(sim.url)
        [usual], [other] = painted(server, ear), painted(server, ear, n4_ckpt_name="other.safetensors")
        ear.close()

    assert difference(usual, other) > 5


def test_the_pictures_of_a_batch_differ(server: Server, ear: Ear) -> None:
    first, second = painted(server, ear, n5_batch_size=2)

    assert difference(first, second) > 5


def img2img(denoise: float) -> graphs.Graph:
    graph = graphs.txt2img(CHECKPOINT)
    graph["5"] = graphs.node("VAEEncode", pixels=["1", 0], vae=["4", 2])
    graph["1"] = graphs.node("EmptyImage", width=64, height=64, batch_size=1, color=0xFF0000)
    graph["3"]["inputs"].update(denoise=denoise, seed=5)
    return graph


def test_the_given_picture_shows_through_in_proportion(server: Server, ear: Ear) -> None:
    red = Image.new("RGB", (64, 64), "red").crop((0, 0, 64, 24))  # above the caption
    distances = [
        difference(red, pictures(server, server.run(img2img(denoise), ear), "9")[0].crop((0, 0, 64, 24)))
        for denoise in (1.0, 0.5, 0.1)
    ]

    assert distances[0] > 20
    assert distances[1] == pytest.approx(distances[0] * 0.5, abs=2)
    assert distances[2] == pytest.approx(distances[0] * 0.1, abs=2)


def test_only_what_the_mask_shows_is_painted(server: Server, ear: Ear) -> None:
    graph = img2img(1.0)
    graph["20"] = graphs.node("SolidMask", value=0.0, width=64, height=64)
    graph["21"] = graphs.node("SetLatentNoiseMask", samples=["5", 0], mask=["20", 0])
    graph["3"]["inputs"]["latent_image"] = ["21", 0]

    [picture] = pictures(server, server.run(graph, ear), "9")

    assert picture.crop((0, 0, 64, 24)).getcolors() == [(64 * 24, (255, 0, 0))]


def test_a_flux_graph_is_sampled_too(server: Server, ear: Ear) -> None:
    graph = {
        "1": graphs.node("UNETLoader", unet_name="demo-flux.safetensors", weight_dtype="default"),
        "2": graphs.node(
            "DualCLIPLoader",
            clip_name1="demo-clip-l.safetensors",
            clip_name2="demo-t5xxl.safetensors",
            type="flux",
        ),
        "3": graphs.node("VAELoader", vae_name="demo-vae.safetensors"),
        "4": graphs.node("CLIPTextEncode", text="a fox", clip=["2", 0]),
        "5": graphs.node("FluxGuidance", conditioning=["4", 0], guidance=3.5),
        "6": graphs.node("BasicGuider", model=["1", 0], conditioning=["5", 0]),
        "7": graphs.node("RandomNoise", noise_seed=graphs.seed()),
        "8": graphs.node("KSamplerSelect", sampler_name="euler"),
        "9": graphs.node("BasicScheduler", model=["1", 0], scheduler="simple", steps=3, denoise=1.0),
        "10": graphs.node("EmptySD3LatentImage", width=128, height=64, batch_size=1),
        "11": graphs.node(
            "SamplerCustomAdvanced",
            noise=["7", 0],
            guider=["6", 0],
            sampler=["8", 0],
            sigmas=["9", 0],
            latent_image=["10", 0],
        ),
        "12": graphs.node("VAEDecode", samples=["11", 0], vae=["3", 0]),
        "13": graphs.node("SaveImage", images=["12", 0], filename_prefix="flux"),
    }

    prompt_id = server.run(graph, ear)

    assert pictures(server, prompt_id, "13")[0].size == (128, 64)
    assert len([frame for frame in ear.of(prompt_id) if frame.type == "progress"]) == 3


def test_pictures_are_loaded_scaled_and_inverted(sim: Simulator, server: Server, ear: Ear) -> None:
    Image.new("RGB", (40, 20), (10, 20, 30)).save(sim.input_directory / "dark.png")
    graph = {
        "1": graphs.node("LoadImage", image="dark.png"),
        "2": graphs.node("ImageScale", image=["1", 0], upscale_method="lanczos", width=0, height=40, crop="disabled"),
        "3": graphs.node("ImageInvert", image=["2", 0]),
        "4": graphs.node("SaveImage", images=["3", 0], filename_prefix="light"),
    }

    [picture] = pictures(server, server.run(graph, ear), "4")

    assert picture.size == (80, 40)
    assert picture.getpixel((1, 1)) == (245, 235, 225)
