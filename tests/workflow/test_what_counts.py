"""What makes nothing, only sounds right, or is worked out is no parameter; and what takes effect is."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.workflow.discovery import examine
from comfybridge.workflow.graph import check_graph
from tests.workflow.drawn import default, encode, node, sampler

ONE, TWO = node("PrimitiveString", value="one"), node("PrimitiveString", value="two")
PICTURE, OTHER = node("LoadImage", image="example.png"), node("LoadImage", image="example.png")
SAVED = node("SaveImage", images=["1", 0], filename_prefix="x")
TURBO = node("OneStepSampler", model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0], seed=1)

# a graph, and what is found; an empty text where there must be no such parameter
STORIES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a picture that is only scaled": (default(n20=PICTURE, n21=node("ImageScale", image=["20", 0])), {"image": ""}),
    "a LoRA for an encoder that nothing asks": (
        default(n20=node("LoraLoader", lora_name="a.safetensors", clip=["4", 1]), n21=encode(["20", 1])),
        {"lora_name": ""},
    ),
    "a picture behind the branch that is switched off": (
        default(
            n3=sampler(latent_image=["22", 0]), n20=PICTURE, n21=node("VAEEncode", pixels=["20", 0], vae=["4", 2]),
            n22=node("ComfySwitchNode", switch=False, on_true=["21", 0], on_false=["5", 0]),
        ),
        {"image": "", "width": "5.width"},
    ),
    "a sampler that was left behind, before the one that counts": (
        {"1": sampler(seed=5), **default()},
        {"seed": "3.seed", "prompt": "6.text"},
    ),
    "a style out of a list": (
        default(n6=encode(["20", 0]), n20=node("Prompt Styles Selector", style="cinematic")), {"prompt": ""},
    ),
    "a style before a text": (
        default(n6=encode(["20", 0]), n20=node("Text Concatenate", text_a=["21", 0], text_b=["22", 0]),
                n21=node("Load Styles CSV", styles="anime"), n22=ONE),
        {"prompt": "22.value"},
    ),
    "numbers that are drawn": (
        default(n3=sampler(steps=["20", 0], cfg=["21", 0]), n20=node("Random Number", minimum=1, maximum=9, seed=5),
                n21=node("RandomFloat", min=1.0, max=9.0, seed=5)),
        {"steps": "", "cfg": ""},
    ),
    "a size that is worked out": (
        default(n5=node("EmptyLatentImage", width=["20", 0], height=512), n20=node("Multiply", value=64, by=8)),
        {"width": "", "height": ""},
    ),
    "merged bundles: the last counts": (
        default(
            n3=sampler(positive=["20", 1]),
            n20=node("Context Merge (rgthree)", ctx_01=["21", 0], ctx_02=["22", 0]),
            n21=node("Context (rgthree)", positive=["7", 0]), n22=node("Context (rgthree)", positive=["6", 0]),
        ),
        {"prompt": "6.text"},
    ),
    "a mask that is made of a picture": (
        default(n3=sampler(latent_image=["23", 0]), n20=PICTURE, n21=OTHER, n22=node("ImageToMask", image=["20", 0]),
                n23=node("VAEEncodeForInpaint", pixels=["21", 0], mask=["22", 0], vae=["4", 2])),
        {"image": "21.image", "mask": "20.image"},
    ),
    "two pictures that begin as the same file": (
        {"1": node("ImageStitch", image1=["20", 0], image2=["21", 0]), "2": SAVED, "20": PICTURE, "21": OTHER},
        {"image": "20.image", "image_2": "21.image"},
    ),
    "a class that only sounds like a switch": (
        {"1": node("OpenRouterImageNode", prompt="a", model="m", seed=1, image_1=["20", 0], image_2=["21", 0]),
         "2": SAVED, "20": PICTURE, "21": OTHER},
        {"prompt": "1.prompt", "seed": "1.seed", "image": "20.image", "image_2": "21.image"},
    ),
    "sides that are swapped": (
        default(n5=node("EmptyLatentImage", width=["20", 0], height=["20", 1]),
                n20=node("CR SDXL Aspect Ratio", width=8, height=9, aspect_ratio="custom", swap_dimensions="On")),
        {"width": "", "height": ""},
    ),
    "a sampler that adds no noise has no seed": (
        {**default(n3=node("KSamplerAdvanced", add_noise="disable", noise_seed=1, steps=5, model=["4", 0],
                           positive=["6", 0], negative=["7", 0], latent_image=["5", 0]))},
        {"seed": "", "steps": "3.steps"},
    ),
    "sizes within a choice": (
        {"1": node("ResizeImageMaskNode", input=["20", 0], resize_type="scale dimensions",
                   **{"resize_type.width": 512, "resize_type.height": 256}), "2": SAVED, "20": PICTURE},
        {"width": "1.resize_type.width", "height": "1.resize_type.height"},
    ),
    "a display that has settings of its own": (
        default(n6=encode(["20", 0]), n20=node("PreviewAny", source=["21", 0], previewMode=False), n21=TWO),
        {"prompt": "21.value"},
    ),
    "the one LoRA of a stack": (
        default(n3=sampler(model=["21", 0]), n21=node("CR Apply LoRA Stack", model=["4", 0], lora_stack=["20", 0]),
                n20=node("CR LoRA Stack", switch_1="Off", lora_name_1="a.safetensors", model_weight_1=1,
                         switch_2="On", lora_name_2="b.safetensors", model_weight_2=0.5)),
        {"lora_name": "20.lora_name_2", "lora_strength": "20.model_weight_2"},
    ),
    "a sampler without steps": (
        default(n3=TURBO),
        {"prompt": "6.text", "negative_prompt": "7.text", "seed": "3.seed"},
    ),
    "a sampler without steps, its positive side without a text": (
        default(n3=TURBO, n6=node("Captioned", image=["20", 0]), n20=PICTURE),
        {"prompt": "", "negative_prompt": "7.text"},
    ),
    "texts in a tuple": (
        default(n3=node("KSampler SDXL (Eff.)", noise_seed=1, steps=5, cfg=7, sdxl_tuple=["20", 0],
                        latent_image=["5", 0]),
                n20=node("Pack SDXL Tuple", base_model=["4", 0], base_positive=["6", 0], base_negative=["7", 0])),
        {"prompt": "6.text", "negative_prompt": "7.text", "seed": "3.noise_seed"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("graph", "expected"), STORIES.values(), ids=STORIES.keys())
def test_only_what_takes_effect_is_a_parameter(graph: dict[str, Any], expected: dict[str, str]) -> None:
    found = examine(check_graph(graph)).parameters
    targets = {name: " ".join(f"{t.node}.{t.input}" for t in each.targets) for name, each in found.items()}
    assert {name: targets.get(name, "") for name in expected} == expected


def test_a_reason_is_told_of_what_it_is_about_and_of_nothing_else() -> None:
    maker = node("IdeogramV3", prompt="a", aspect_ratio="1:1", width=512, height=512, seed=1)
    found = examine(check_graph({"1": maker, "2": SAVED}))
    assert found.unclear.keys() == {"width", "height"}
