"""Parameters are found by the links, whatever nodes are called and texts say.

Each story is a graph and what is found in it: `{name: "NODE.INPUT NODE.INPUT"}`.
"""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.workflow.discovery import examine
from comfybridge.workflow.graph import check_graph
from tests.workflow.drawn import default, encode, node, sampler

LOAD = node("CheckpointLoaderSimple", ckpt_name="sdxl.safetensors")
ADVANCED = {"steps": 25, "cfg": 8, "sampler_name": "euler", "scheduler": "normal"}


def sdxl(text_g: Any, text_l: Any) -> dict[str, Any]:
    return node("CLIPTextEncodeSDXL", width=4096, height=4096, text_g=text_g, text_l=text_l, clip=["4", 1])


FLUX_ADVANCED = {
    "5": node("EmptySD3LatentImage", width=1024, height=768, batch_size=2),
    "6": node("CLIPTextEncode", text="a fox", clip=["11", 0]),
    "11": node("DualCLIPLoader", clip_name1="t5.safetensors", clip_name2="l.safetensors", type="flux"),
    "12": node("UNETLoader", unet_name="flux.safetensors", weight_dtype="default"),
    "13": node(
        "SamplerCustomAdvanced",
        noise=["25", 0], guider=["22", 0], sampler=["16", 0], sigmas=["17", 0], latent_image=["5", 0],
    ),
    "16": node("KSamplerSelect", sampler_name="euler"),
    "17": node("BasicScheduler", scheduler="simple", steps=20, denoise=1, model=["30", 0]),
    "22": node("BasicGuider", model=["30", 0], conditioning=["26", 0]),
    "25": node("RandomNoise", noise_seed=5),
    "26": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
    "30": node("ModelSamplingFlux", max_shift=1.15, width=1024, height=768, model=["12", 0]),
}  # fmt: skip
SAMPLER_CUSTOM = {
    **default(
        n3=node(
            "SamplerCustom", add_noise=True, noise_seed=1, cfg=1.5, model=["4", 0], positive=["6", 0],
            negative=["7", 0], sampler=["14", 0], sigmas=["21", 0], latent_image=["5", 0],
        ),
        n14=node("KSamplerSelect", sampler_name="lcm"),
        n20=node("SDTurboScheduler", model=["4", 0], steps=1, denoise=1),
        n21=node("SplitSigmas", sigmas=["20", 0], step=5),
    )
}  # fmt: skip
BASE_AND_REFINER = {
    "4": LOAD,
    "5": node("EmptyLatentImage", width=1024, height=1024, batch_size=1),
    "6": encode("a cat"),
    "7": encode("blurry"),
    "11": node("KSamplerAdvanced", **ADVANCED, add_noise="disable", noise_seed=0, model=["12", 0], positive=["15", 0],
               negative=["16", 0], latent_image=["10", 0], start_at_step=20),
    "10": node("KSamplerAdvanced", **ADVANCED, add_noise="enable", noise_seed=9, model=["4", 0], positive=["6", 0],
               negative=["7", 0], latent_image=["5", 0], end_at_step=20),
    "12": node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
    "15": node("CLIPTextEncode", text="a cat", clip=["12", 1]),
    "16": node("CLIPTextEncode", text="other", clip=["12", 1]),
}  # fmt: skip
HIRES = default(
    n10=node("LatentUpscale", samples=["3", 0], width=1152, height=1152),
    n11=sampler(denoise=0.5, latent_image=["10", 0], steps=14),
)
CONTROLNET = node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["21", 0],
                  image=["22", 0], strength=1)  # fmt: skip
WAN = node("WanImageToVideo", positive=["6", 0], negative=["7", 0], vae=["4", 2], start_image=["22", 0], width=832,
           height=480, length=33, batch_size=1)  # fmt: skip
EFFICIENT = {
    "1": node("Efficient Loader", ckpt_name="a.ckpt", vae_name="v.pt", lora_name="None", positive="a cat",
              negative="blurry", empty_latent_width=512, empty_latent_height=768, batch_size=1),
    "2": node("KSampler (Efficient)", seed=3, steps=20, cfg=7, sampler_name="euler", scheduler="normal", denoise=1,
              model=["1", 0], positive=["1", 1], negative=["1", 2], latent_image=["1", 3]),
}  # fmt: skip

SAMPLING = {
    "seed": "3.seed",
    "steps": "3.steps",
    "cfg": "3.cfg",
    "sampler_name": "3.sampler_name",
    "scheduler": "3.scheduler",
    "denoise": "3.denoise",
}
SIZE = {"width": "5.width", "height": "5.height", "batch_size": "5.batch_size"}
TEXTS = {"prompt": "6.text", "negative_prompt": "7.text"}
MODEL = {"model": "4.ckpt_name"}
ALL = {**TEXTS, **SAMPLING, **SIZE, **MODEL}


def without(found: dict[str, str], *names: str) -> dict[str, str]:
    return {name: targets for name, targets in found.items() if name not in names}


STORIES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "the default graph": (default(), ALL),
    "a prompt that says negative, a negative one that says nothing": (
        default(n6=encode("a photographic negative"), n7=encode("")),
        ALL,
    ),
    "links swapped: what feeds positive is the prompt": (
        default(n3=sampler(positive=["7", 0], negative=["6", 0])),
        {**ALL, "prompt": "7.text", "negative_prompt": "6.text"},
    ),
    "a hires pass that was set apart": (
        HIRES,
        {
            **ALL,
            **{name: f"3.{name} 11.{name}" for name in ("seed", "cfg", "sampler_name", "scheduler")},
        },
    ),
    "base and refiner, the refiner first in the file": (
        BASE_AND_REFINER,
        {
            "prompt": "6.text 15.text",
            "negative_prompt": "7.text",
            "seed": "10.noise_seed",
            "steps": "10.steps 11.steps",
            "cfg": "10.cfg 11.cfg",
            "sampler_name": "10.sampler_name 11.sampler_name",
            "scheduler": "10.scheduler 11.scheduler",
            **SIZE,
            **MODEL,
        },
    ),
    "SDXL encoders: both texts, and never their sizes": (
        default(n6=sdxl("a cat", "fur"), n7=sdxl("blurry", "blurry")),
        {**ALL, "prompt": "6.text_g 6.text_l", "negative_prompt": "7.text_g 7.text_l"},
    ),
    "Flux with an advanced sampler": (
        FLUX_ADVANCED,
        {
            "prompt": "6.text",
            "seed": "25.noise_seed",
            "steps": "17.steps",
            "sampler_name": "16.sampler_name",
            "scheduler": "17.scheduler",
            "denoise": "17.denoise",
            "guidance": "26.guidance",
            "model": "12.unet_name",
            **SIZE,
        },
    ),
    "Flux's own encoder": (
        default(n6=node("CLIPTextEncodeFlux", clip_l="a cat", t5xxl="a cat", guidance=3.5, clip=["4", 1])),
        {**ALL, "prompt": "6.clip_l 6.t5xxl", "guidance": "6.guidance"},
    ),
    "CFGGuider": (
        {**FLUX_ADVANCED, "7": encode("x"), "4": LOAD,
         "22": node("CFGGuider", cfg=3, model=["12", 0], positive=["6", 0], negative=["7", 0])},
        {
            "prompt": "6.text", "negative_prompt": "7.text", "seed": "25.noise_seed", "steps": "17.steps",
            "cfg": "22.cfg", "sampler_name": "16.sampler_name", "scheduler": "17.scheduler",
            "denoise": "17.denoise", "model": "12.unet_name", **SIZE,
        },
    ),
    "SamplerCustom, its scheduler behind split sigmas": (
        SAMPLER_CUSTOM,
        {**without(ALL, "scheduler"), "seed": "3.noise_seed", "steps": "20.steps", "denoise": "20.denoise",
         "sampler_name": "14.sampler_name"},
    ),
    "a control net gives out both sides in order": (
        default(n3=sampler(positive=["20", 0], negative=["20", 1]), n20=CONTROLNET,
                n21=node("ControlNetLoader", control_net_name="c.safetensors"), n22=node("LoadImage", image="a.png")),
        {**ALL, "image": "22.image"},
    ),
    "a control net with its outputs swapped": (
        default(n3=sampler(positive=["20", 1], negative=["20", 0]), n20=CONTROLNET,
                n21=node("ControlNetLoader", control_net_name="c.safetensors"), n22=node("LoadImage", image="a.png")),
        {**ALL, "prompt": "7.text", "negative_prompt": "6.text", "image": "22.image"},
    ),
    "a zeroed prompt is no negative prompt": (
        default(n7=node("ConditioningZeroOut", conditioning=["6", 0])),
        without(ALL, "negative_prompt"),
    ),
    "a text that is zeroed is not looked at, whichever it is": (
        default(n3=sampler(negative=["20", 0]), n20=node("ConditioningZeroOut", conditioning=["7", 0])),
        without(ALL, "negative_prompt"),
    ),
    "sigmas that are stretched keep the steps of the stretching": (
        {**SAMPLER_CUSTOM, "21": node("ExtendIntermediateSigmas", sigmas=["20", 0], steps=2)},
        {**without(ALL, "scheduler"), "seed": "3.noise_seed", "steps": "20.steps", "denoise": "20.denoise",
         "sampler_name": "14.sampler_name"},
    ),
    "latents put into other batches": (
        default(n3=sampler(latent_image=["20", 0]), n20=node("RebatchLatents", latents=["5", 0], batch_size=4)),
        ALL,
    ),
    "one encoder on both sides is the prompt's": (
        default(n3=sampler(negative=["6", 0])),
        without(ALL, "negative_prompt"),
    ),
    "everything from primitives": (
        default(
            n3=sampler(seed=["20", 0], steps=["21", 0], cfg=["22", 0]), n6=encode(["23", 0]),
            n5=node("EmptyLatentImage", width=["24", 0], height=["24", 1], batch_size=1),
            n20=node("Seed (rgthree)", seed=11), n21=node("PrimitiveInt", value=30),
            n22=node("PrimitiveFloat", value=6.5), n23=node("PrimitiveStringMultiline", value="a cat"),
            n24=node("Size Picker", width=640, height=480, swap=False),
        ),
        {**ALL, "seed": "20.seed", "steps": "21.value", "cfg": "22.value", "prompt": "23.value",
         "width": "24.width", "height": "24.height"},
    ),
    "a text put together: the part that is wired up": (
        default(
            n6=encode(["20", 0]), n21=node("PrimitiveString", value="a cat"),
            n20=node("StringConcatenate", string_a="masterpiece", string_b=["21", 0], delimiter=", "),
        ),
        {**ALL, "prompt": "21.value"},
    ),
    "a text put together from literals: the first": (
        default(n6=encode(["20", 0]), n20=node("StringConcatenate", delimiter=",", string_a="a", string_b="b")),
        {**ALL, "prompt": "20.string_a"},
    ),
    "a computed width has no one literal": (
        default(n5=node("EmptyLatentImage", width=["20", 0], height=640, batch_size=1),
                n20=node("Multiply", a=["21", 0], b=2), n21=node("PrimitiveInt", value=256)),
        without(ALL, "width", "height"),
    ),
    "reroutes and unknown nodes in between": (
        default(
            n3=sampler(positive=["20", 0], latent_image=["22", 0], model=["23", 0]),
            n20=node("Reroute", **{"": ["21", 0]}), n21=node("Somebody's Conditioner", thing=["6", 0], power=3),
            n22=node("Somebody's Latent", thing=["5", 0]), n23=node("Somebody's Patch", m=["4", 0]),
        ),
        ALL,
    ),
    "combined areas: the first text is the prompt": (
        default(
            n3=sampler(positive=["20", 0]), n21=encode("a dog"),
            n20=node("ConditioningConcat", conditioning_from=["21", 0], conditioning_to=["6", 0]),
        ),
        ALL,
    ),
    "LoRAs before the model": (
        default(n3=sampler(model=["20", 0]),
                n20=node("LoraLoader", lora_name="a.safetensors", model=["21", 0], clip=["4", 1]),
                n21=node("LoraLoaderModelOnly", lora_name="b.safetensors", model=["4", 0])),
        ALL,
    ),
    "a GGUF loader": (
        default(n3=sampler(model=["20", 0]), n20=node("UnetLoaderGGUF", unet_name="flux.gguf")),
        {**ALL, "model": "20.unet_name"},
    ),
    "an unknown loader": (
        default(n3=sampler(model=["20", 0]),
                n20=node("Any Loader", vae_name="v.safetensors", net_name="n.safetensors")),
        {**ALL, "model": "20.net_name"},
    ),
    "img2img": (
        default(n5=node("VAEEncode", pixels=["20", 0], vae=["4", 2]), n20=node("LoadImage", image="a.png")),
        {**without(ALL, *SIZE), "image": "20.image"},
    ),
    "img2img, scaled and repeated": (
        default(n5=node("RepeatLatentBatch", samples=["19", 0], amount=2),
                n19=node("VAEEncode", pixels=["20", 0], vae=["4", 2]),
                n20=node("ImageScale", image=["21", 0], width=768, height=512, crop="center"),
                n21=node("LoadImage", image="a.png")),
        {**ALL, "width": "20.width", "height": "20.height", "batch_size": "5.amount", "image": "21.image"},
    ),
    "an empty latent that is scaled keeps its own size": (
        default(n3=sampler(latent_image=["20", 0]),
                n20=node("LatentUpscale", samples=["5", 0], width=1024, height=1024)),
        ALL,
    ),
    "image to video: both sides, the size and the image in one node": (
        default(n3=sampler(positive=["5", 0], negative=["5", 1], latent_image=["5", 2]), n5=WAN,
                n22=node("LoadImage", image="a.png")),
        {**ALL, "image": "22.image", "length": "5.length"},
    ),
    "an inpaint model": (
        default(n3=sampler(positive=["5", 0], negative=["5", 1], latent_image=["5", 2]),
                n5=node("InpaintModelConditioning", positive=["6", 0], negative=["7", 0], vae=["4", 2],
                        pixels=["20", 0], mask=["21", 0], noise_mask=True),
                n20=node("LoadImage", image="a.png"), n21=node("LoadImageMask", image="m.png", channel="red")),
        {**without(ALL, *SIZE), "image": "20.image", "mask": "21.image"},
    ),
    "a sampler and a loader of a pack": (
        EFFICIENT,
        {
            "prompt": "1.positive", "negative_prompt": "1.negative", "seed": "2.seed", "steps": "2.steps",
            "cfg": "2.cfg", "width": "1.empty_latent_width", "height": "1.empty_latent_height",
            "batch_size": "1.batch_size", "model": "1.ckpt_name", "sampler_name": "2.sampler_name",
            "scheduler": "2.scheduler", "denoise": "2.denoise",
        },
    ),
    "no sampler": ({"1": node("LoadImage", image="a.png"), "2": node("SaveImage", images=["1", 0])},
                   {"image": "1.image"}),
}  # fmt: skip


@pytest.mark.parametrize(("graph", "expected"), STORIES.values(), ids=STORIES.keys())
def test_the_parameters_of_a_graph_are_found(graph: dict[str, Any], expected: dict[str, str]) -> None:
    found = examine(check_graph(graph)).parameters
    targets = {name: " ".join(f"{t.node}.{t.input}" for t in each.targets) for name, each in found.items()}
    assert targets == expected


def test_what_is_found_has_the_graphs_values_as_defaults() -> None:
    found = examine(check_graph(default())).parameters
    assert {name: each.default for name, each in found.items()} == {
        "prompt": "a cat", "negative_prompt": "blurry", "seed": 7, "steps": 20, "cfg": 8, "width": 512, "height": 640,
        "batch_size": 1, "model": "v1-5.safetensors", "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
    }  # fmt: skip


def test_circles_and_diamonds_do_not_hang() -> None:
    ring = default(n6=node("A", x=["20", 0]), n20=node("B", x=["6", 0]), n5=sampler(latent_image=["3", 0]))
    assert "seed" in examine(ring).parameters
    layers = {f"{i}{side}": node("ConditioningCombine", conditioning_1=[f"{i - 1}a", 0],
                                 conditioning_2=[f"{i - 1}b", 0]) for i in range(1, 60) for side in "ab"}  # fmt: skip
    graph = default(n3=sampler(positive=["59a", 0]), **layers, **{"0a": encode("a"), "0b": encode("b")})
    assert examine(check_graph(graph)).parameters["prompt"].targets[0].node == "0a"


def test_a_graph_of_ten_thousand_nodes_does_not_take_long() -> None:
    chain = {f"c{i}": node("A", conditioning=[f"c{i - 1}", 0]) for i in range(1, 10_000)}
    graph = default(n3=sampler(positive=["c9999", 0]), **chain, c0=encode("deep"))
    assert examine(check_graph(graph)).parameters["prompt"].targets[0].node == "c0"
