"""Graphs in which the names of inputs and outputs show what the parameters are."""

from __future__ import annotations

from typing import Any

from tests.workflow.drawn import default, encode, node, sampler

TEXTS = {"prompt": "6.text", "negative_prompt": "7.text"}
APPLY = node("X Apply", positive=["6", 0], negative=["7", 0], model=["4", 0])
ONE, TWO = node("PrimitiveString", value="one"), node("PrimitiveString", value="two")

# a graph, what a server tells of its classes, and what is found; an empty text where there must be no such parameter
STORIES: dict[str, tuple[dict[str, Any], dict[str, list[str]], dict[str, str]]] = {
    "outputs named the other way round": (
        default(n3=sampler(positive=["20", 1], negative=["20", 2]), n20=APPLY),
        {"X Apply": ["MODEL", "negative", "positive"]},
        {"prompt": "7.text", "negative_prompt": "6.text"},
    ),
    "outputs named by a server": (
        default(n3=sampler(positive=["20", 2], negative=["20", 1]), n20=APPLY),
        {"X Apply": ["MODEL", "negative", "positive"]},
        {**TEXTS},
    ),
    "a class that nobody knows: the sampler's inputs tell": (
        default(n3=sampler(positive=["20", 2], negative=["20", 1]), n20=APPLY),
        {},
        {**TEXTS},
    ),
    "settings, model and texts out of a bundle of bundles": (
        default(
            n3=sampler(
                model=["20", 1], positive=["20", 4], negative=["20", 5], latent_image=["20", 6], seed=["20", 9]
            ),
            n20=node("Context Big (rgthree)", base_ctx=["21", 0]),
            n21=node(
                "Context (rgthree)",
                model=["4", 0],
                positive=["6", 0],
                negative=["7", 0],
                latent=["5", 0],
                seed=["22", 0],
            ),
            n22=node("Seed (rgthree)", seed=3),
        ),
        {},
        {"seed": "22.seed", "width": "5.width", "model": "4.ckpt_name", **TEXTS},
    ),
    "the first of several bundles": (
        default(
            n3=sampler(positive=["20", 4], negative=["20", 5]),
            n20=node("Context Switch (rgthree)", ctx_01=["21", 0], ctx_02=["23", 0]),
            n21=node("Context (rgthree)", positive=["6", 0], negative=["7", 0]),
            n23=node("Context (rgthree)", positive=["7", 0], negative=["6", 0]),
        ),
        {},
        {**TEXTS},
    ),
    "a bundle's parts before those of the bundle below": (
        default(
            n3=sampler(positive=["20", 1], negative=["20", 2]),
            n20=node("easy pipeOut", pipe=["21", 0]),
            n21=node("easy pipeIn", pos=["6", 0], neg=["7", 0], pipe=["30", 0]),
            n30=node(
                "easy fullLoader",
                ckpt_name="x.ckpt",
                positive="q",
                negative="r",
                empty_latent_width=5,
                empty_latent_height=6,
                resolution="width x height (custom)",
            ),
        ),
        {},
        {**TEXTS},
    ),
    "the conditioning that is switched on": (
        default(
            n3=sampler(positive=["20", 0]),
            n20=node("CR Conditioning Input Switch", Input=2, conditioning1=["7", 0], conditioning2=["6", 0]),
        ),
        {},
        {**TEXTS},
    ),
    "impact switch": (
        default(
            n6=encode(["20", 0]),
            n20=node("ImpactSwitch", select=2, sel_mode=False, input1=["21", 0], input2=["22", 0]),
            n21=ONE,
            n22=TWO,
        ),
        {},
        {"prompt": "22.value"},
    ),
    "impact switch by link": (
        default(
            n6=encode(["20", 0]),
            n20=node("ImpactSwitch", select=["23", 0], sel_mode=False, input1=["21", 0], input2=["22", 0]),
            n21=ONE,
            n22=TWO,
            n23=node("PrimitiveInt", value=1),
        ),
        {},
        {"prompt": "21.value"},
    ),
    "index switch": (
        default(
            n6=encode(["20", 0]),
            n20=node("easy anythingIndexSwitch", index=0, value0=["21", 0], value1=["22", 0]),
            n21=ONE,
            n22=TWO,
        ),
        {},
        {"prompt": "21.value"},
    ),
    "if else": (
        default(
            n6=encode(["20", 0]),
            n20=node("easy ifElse", boolean=False, on_true=["21", 0], on_false=["22", 0]),
            n21=ONE,
            n22=TWO,
        ),
        {},
        {"prompt": "22.value"},
    ),
    "text switch literal": (
        default(
            n6=encode(["20", 0]), n20=node("CR Text Input Switch", Input=1, text1="lit", text2=["22", 0]), n22=TWO
        ),
        {},
        {"prompt": "20.text1"},
    ),
    "unknowable switch": (
        default(
            n6=encode(["20", 0]),
            n20=node("Mystery Switch", select=["23", 0], input1=["21", 0], input2=["22", 0]),
            n21=ONE,
            n22=TWO,
            n23=node("Random", a=1, b=2),
        ),
        {},
        {"prompt": ""},
    ),
    "latent switch": (
        default(
            n3=sampler(latent_image=["20", 0]),
            n20=node("LatentSwitch", Input=2, latent1=["21", 0], latent2=["5", 0]),
            n21=node("EmptyLatentImage", width=1, height=2, batch_size=1),
        ),
        {},
        {"width": "5.width"},
    ),
    "wildcard encode": (
        default(
            n3=sampler(positive=["20", 2], model=["20", 0]),
            n20=node(
                "ImpactWildcardEncode",
                wildcard_text="a {b|c}",
                populated_text="a b",
                mode="populate",
                seed=5,
                model=["4", 0],
                clip=["4", 1],
                **{
                    "Select to add LoRA": "Select the LoRA to add to the text",
                    "Select to add Wildcard": "Select the Wildcard",
                },
            ),
        ),
        {},
        {"prompt": "20.wildcard_text 20.populated_text", "negative_prompt": "7.text", "model": "4.ckpt_name"},
    ),
    "show text": (
        default(
            n6=encode(["20", 0]),
            n20=node("ShowText|pysssss", text=["21", 0], text_0="old"),
            n21=node("String Literal", string="new"),
        ),
        {},
        {"prompt": "21.string"},
    ),
    "encode with preview": (
        default(n6=node("CLIPTextEncodePreview", clip=["4", 1], text="hi")),
        {},
        {"prompt": "6.text"},
    ),
    "florence": (
        default(
            n6=encode(["20", 0]),
            n20=node(
                "Florence2Run", image=["21", 0], florence2_model=["22", 0], text_input="", task="caption", seed=1
            ),
            n21=node("LoadImage", image="a.png"),
            n22=node("DownloadAndLoadFlorence2Model", model="microsoft/Florence-2"),
        ),
        {},
        {"prompt": "", "image": "21.image", "negative_prompt": "7.text"},
    ),
    "styler advanced": (
        default(
            n6=node("CLIPTextEncodeSDXL", text_g=["20", 0], text_l=["20", 1], clip=["4", 1]),
            n7=encode(["20", 2]),
            n20=node(
                "SDXLPromptStylerAdvanced",
                text_positive_g="g",
                text_positive_l="l",
                text_negative="n",
                style="x",
                log_prompt="No",
            ),
        ),
        {},
        {"negative_prompt": "20.text_negative", "prompt": "20.text_positive_g 20.text_positive_l"},
    ),
    "styler by facts": (
        default(
            n6=encode(["20", 1]), n7=encode(["20", 0]), n20=node("Foo Styler", text_positive="g", text_negative="n")
        ),
        {"Foo Styler": ["negative prompt", "positive prompt"]},
        {"prompt": "20.text_positive", "negative_prompt": "20.text_negative"},
    ),
    "size swapped": (
        default(
            n5=node("EmptyLatentImage", width=["20", 1], height=["20", 0], batch_size=1),
            n20=node("Sizes", width=1, height=2),
        ),
        {"Sizes": ["width", "height"]},
        {"width": "20.height", "height": "20.width"},
    ),
    "diffusers": (
        {
            "1": node(
                "DiffusersPipe",
                prompt="a",
                negative_prompt="b",
                num_inference_steps=5,
                guidance_scale=3.0,
                seed=1,
                width=64,
                height=64,
                num_images=2,
                model="m.safetensors",
            ),
            "2": node("SaveImage", images=["1", 0], filename_prefix="x"),
        },
        {},
        {
            "prompt": "1.prompt",
            "negative_prompt": "1.negative_prompt",
            "steps": "1.num_inference_steps",
            "cfg": "1.guidance_scale",
            "width": "1.width",
            "batch_size": "1.num_images",
            "model": "1.model",
            "seed": "1.seed",
        },
    ),
    "upscale": (
        {
            "1": node("LoadImage", image="a.png"),
            "2": node("UpscaleModelLoader", model_name="4x.pth"),
            "3": node("ImageUpscaleWithModel", upscale_model=["2", 0], image=["1", 0]),
            "4": node("SaveImage", images=["3", 0], filename_prefix="x"),
        },
        {},
        {"image": "1.image", "model": "2.model_name", "prompt": ""},
    ),
    "empty-scale": (
        {
            "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "2": node("ImageScale", image=["1", 0], width=64, height=32, upscale_method="x", crop="disabled"),
            "4": node("SaveImage", images=["2", 0], filename_prefix="x"),
        },
        {},
        {"width": "2.width", "height": "2.height"},
    ),
    "empty": (
        {
            "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "4": node("SaveImage", images=["1", 0], filename_prefix="x"),
        },
        {},
        {"width": "1.width", "height": "1.height", "batch_size": "1.batch_size"},
    ),
    "tts": (
        {
            "1": node("TTS", text="hello", voice="x", seed=1),
            "4": node("SaveAudio", audio=["1", 0], filename_prefix="x"),
        },
        {},
        {"prompt": "1.text", "seed": "1.seed"},
    ),
    "kling chain": (
        {
            "1": node("FluxAPI", prompt="pic", seed=1),
            "2": node("KlingI2V", image=["1", 0], prompt="move", negative_prompt="n", seed=9),
            "4": node("SaveVideo", video=["2", 0], filename_prefix="x"),
        },
        {},
        {"prompt": "1.prompt", "seed": "1.seed"},
    ),
    "api with text primitive": (
        {
            "0": node("PrimitiveStringMultiline", value="pic"),
            "1": node("FluxAPI", prompt=["0", 0], seed=1),
            "4": node("SaveImage", images=["1", 0], filename_prefix="x"),
        },
        {},
        {"prompt": "0.value"},
    ),
    "api two beside": (
        {
            "1": node("FluxAPI", prompt="a", seed=1),
            "2": node("FluxAPI", prompt="b", seed=2),
            "4": node("SaveImage", images=["1", 0], filename_prefix="x"),
            "5": node("SaveImage", images=["2", 0], filename_prefix="x"),
        },
        {},
        {"prompt": ""},
    ),
    "two beside different prompts": (
        default(
            n10=encode("other"),
            n11=sampler(positive=["10", 0]),
            n12=node("VAEDecode", samples=["11", 0], vae=["4", 2]),
            n13=node("SaveImage", images=["12", 0], filename_prefix="q"),
        ),
        {},
        {"prompt": ""},
    ),
    "dynamic": (
        {
            "1": node(
                "GeminiImage", model="x", **{"model.prompt": "hi", "model.seed": 4, "model.negative_prompt": "no"}
            ),
            "4": node("SaveImage", images=["1", 0], filename_prefix="x"),
        },
        {},
        {"prompt": "1.model.prompt", "seed": "1.model.seed", "negative_prompt": "1.model.negative_prompt"},
    ),
    "text overlay": (
        {
            "1": node("LoadImage", image="a.png"),
            "2": node("DrawText", image=["1", 0], text="label", font="x"),
            "4": node("SaveImage", images=["2", 0], filename_prefix="x"),
        },
        {},
        {"image": "1.image"},
    ),
    "embeds pos neg": (
        default(
            n3=node(
                "MySampler",
                steps=3,
                seed=4,
                cfg=2,
                positive_embeds=["6", 0],
                negative_embeds=["7", 0],
                model=["4", 0],
                samples=["5", 0],
            )
        ),
        {},
        {**TEXTS},
    ),
    "pos neg tuple": (
        default(
            n3=node("MySampler", steps=3, seed=4, cfg=2, conds=["20", 0], model=["4", 0], samples=["5", 0]),
            n20=node("Merge Conds", pos=["6", 0], neg=["7", 0]),
        ),
        {},
        {**TEXTS},
    ),
    "bypassed lora none": (
        default(
            n3=sampler(model=["20", 0]),
            n20=node(
                "LoraLoader", lora_name="None", strength_model=1, strength_clip=1, model=["4", 0], clip=["4", 1]
            ),
        ),
        {},
        {"lora_name": "", "model": "4.ckpt_name"},
    ),
    "lora": (
        default(
            n3=sampler(model=["20", 0]),
            n20=node(
                "LoraLoader",
                lora_name="a.safetensors",
                strength_model=0.5,
                strength_clip=1,
                model=["4", 0],
                clip=["4", 1],
            ),
        ),
        {},
        {"lora_name": "20.lora_name", "lora_strength": "20.strength_model"},
    ),
    "repeated file": (
        default(
            n20=node("LoadImage", image="a.png"),
            n21=node("LoadImage", image="b.png"),
            n22=node("LoadImage", image="a.png"),
            n23=node("ImageBatch", image1=["20", 0], image2=["21", 0]),
            n24=node("X", image=["22", 0], q=["23", 0]),
        ),
        {},
        {"image": "20.image", "image_2": "21.image", "image_3": "22.image"},
    ),
    "mask by slot": (
        default(
            n20=node("LoadImage", image="a.png"),
            n21=node("LoadImage", image="b.png"),
            n24=node("SetLatentNoiseMask", samples=["5", 0], mask=["21", 1]),
            n25=node("Y", image=["20", 0]),
            n3=sampler(latent_image=["24", 0]),
        ),
        {},
        {"image": "20.image", "mask": "21.image", "width": "5.width"},
    ),
}
