"""Proportions, lengths and frame rates are parameters, and so are the settings of nodes that make all at once."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.workflow.discovery import examine
from comfybridge.workflow.graph import check_graph
from tests.workflow.drawn import default, encode, node, sampler

VIDEO = node("EmptyVideo", width=832, height=480, length=81, batch_size=1)
SELECTOR = node("ResolutionSelector", aspect_ratio="16:9 (Widescreen)", megapixels=1.0, multiple=8)
CLIP = node("LoadVideo", file="a.mp4")

# a graph, and what is found; an empty text where there must be no such parameter
STORIES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a partner's node": (
        {"1": node("Partner", prompt="a", negative_prompt="b", seed=1, model="m-2", aspect_ratio="16:9",
                   resolution="720p", duration=5)},
        {"prompt": "1.prompt", "negative_prompt": "1.negative_prompt", "seed": "1.seed", "model": "1.model",
         "aspect_ratio": "1.aspect_ratio", "resolution": "1.resolution", "duration": "1.duration"},
    ),
    "settings within the choice of a model": (
        {"1": node("Partner", model="m", seed=1,
                   **{"model.prompt": "a", "model.ratio": "1:1", "model.duration": "5", "model.fps": "25"})},
        {"prompt": "1.model.prompt", "aspect_ratio": "1.model.ratio", "duration": "1.model.duration",
         "fps": "1.model.fps"},
    ),
    "a size as one text": ({"1": node("Partner", prompt="a", size="1024x1024")}, {"size": "1.size", "width": ""}),
    "a preset within the choice of a model, and the size that it overrules": (
        {"1": node("Partner", prompt="a", model="m", **{"model.size_preset": "2048x2048 (1:1)", "model.width": 8,
                                                        "model.height": 8})},
        {"size": "1.model.size_preset", "width": "", "height": ""},
    ),
    "several nodes in a row: the picture's proportions, though a text is made first": (
        {"1": node("Chat", prompt="describe a fox", seed=1),
         "2": node("Partner", prompt=["1", 0], seed=2, aspect_ratio="1:1")},
        {"prompt": "1.prompt", "seed": "2.seed", "aspect_ratio": "2.aspect_ratio"},
    ),
    "a node without a prompt": (
        {"1": node("Upscale", video=["2", 0], upscaler_model="Fast", target_resolution="1080p"), "2": CLIP},
        {"model": "1.upscaler_model", "resolution": "1.target_resolution", "video": "2.file"},
    ),
    "a size out of proportions": (
        default(n5=node("EmptyLatentImage", width=["20", 0], height=["20", 1], batch_size=1), n20=SELECTOR),
        {"aspect_ratio": "20.aspect_ratio", "megapixels": "20.megapixels", "width": "", "batch_size": "5.batch_size"},
    ),
    "a size out of proportions, rounded": (
        default(n5=node("EmptyLatentImage", width=["21", 0], height=["21", 0], batch_size=1), n20=SELECTOR,
                n21=node("ComfyMathExpression", expression="a & -8", **{"values.a": ["20", 0]})),
        {"aspect_ratio": "20.aspect_ratio", "width": ""},
    ),
    "a size out of proportions, without a sampler": (
        {"1": node("EmptyImage", width=["2", 0], height=["2", 1], batch_size=1), "2": SELECTOR,
         "3": node("SaveImage", images=["1", 0])},
        {"aspect_ratio": "2.aspect_ratio", "megapixels": "2.megapixels", "width": ""},
    ),
    "the size of a picture": (
        default(n5=node("EmptyLatentImage", width=["20", 0], height=["20", 1], batch_size=1),
                n20=node("GetImageSize", image=["21", 0]), n21=node("LoadImage", image="a.png")),
        {"aspect_ratio": "", "width": "", "image": "21.image"},
    ),
    "the length of a video, and its frame rate": (
        default(n5=VIDEO, n20=node("CreateVideo", images=["8", 0], fps=16)),
        {"length": "5.length", "fps": "20.fps"},
    ),
    "the frame rate that the model is told, too": (
        default(n5=VIDEO, n6=encode("a"), n3=sampler(positive=["21", 0], negative=["21", 1]),
                n21=node("VideoConditioning", positive=["6", 0], negative=["7", 0], frame_rate=24),
                n20=node("CreateVideo", images=["8", 0], fps=24)),
        {"fps": "21.frame_rate 20.fps"},
    ),
    "two videos of different frame rates": (
        default(n5=VIDEO, n20=node("CreateVideo", images=["8", 0], fps=16),
                n21=node("CreateVideo", images=["8", 0], fps=32)),
        {"fps": ""},
    ),
    "the frame rate of the video that came in": (
        {"1": node("CreateVideo", images=["3", 0], fps=["3", 2]), "2": CLIP,
         "3": node("GetComponents", video=["2", 0])},
        {"fps": "", "video": "2.file"},
    ),
    "seconds of a sound": (
        default(n5=node("EmptyAudio", seconds=47.6, batch_size=1)), {"duration": "5.seconds", "length": ""},
    ),
    "shots, each with a text of its own": (
        {"1": node("Partner", seed=1, shots="2",
                   **{"shots.storyboard_1_prompt": "a", "shots.storyboard_2_prompt": "b", "shots.storyboard_1": 2})},
        {"prompt": "1.shots.storyboard_1_prompt", "prompt_2": "1.shots.storyboard_2_prompt"},
    ),
    "a guider of two conditionings, whose negative link brings the prompt": (
        default(
            n3=node("SamplerCustomAdvanced", noise=["20", 0], guider=["21", 0], sampler=["22", 0], sigmas=["23", 0],
                    latent_image=["24", 2]),
            n20=node("RandomNoise", noise_seed=1), n22=node("KSamplerSelect", sampler_name="euler"),
            n21=node("DualCFGGuider", cfg_conds=3, cfg_cond2_negative=1.5, model=["4", 0], cond1=["24", 0],
                     cond2=["24", 1], negative=["6", 0]),
            n23=node("BasicScheduler", steps=20, denoise=1, scheduler="simple", model=["4", 0]),
            n24=node("InstructPixToPixConditioning", positive=["6", 0], negative=["7", 0], pixels=["25", 0]),
            n25=node("LoadImage", image="a.png"),
        ),
        {"prompt": "6.text", "negative_prompt": "7.text", "cfg": "21.cfg_conds", "image": "25.image"},
    ),
    "a sampler that prepares what another one is told": (
        default(
            n3=sampler(positive=["20", 0], negative=["20", 1]),
            n20=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], image=["21", 0]),
            n21=node("VAEDecode", samples=["22", 0]),
            n22=node("SamplerCustomAdvanced", noise=["23", 0], guider=["24", 0], latent_image=["25", 0],
                     sigmas=["28", 0]),
            n23=node("RandomNoise", noise_seed=0),
            n24=node("BasicGuider", model=["26", 0], conditioning=["27", 0]),
            n25=node("EmptyLatentImage", width=64, height=64, batch_size=1),
            n26=node("UNETLoader", unet_name="depth.safetensors"), n27=node("DepthConditioning"),
            n28=node("BasicScheduler", steps=1, denoise=1, scheduler="normal", model=["26", 0]),
        ),
        {"seed": "3.seed", "model": "4.ckpt_name", "prompt": "6.text", "width": "5.width", "steps": "3.steps",
         "denoise": "3.denoise"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("graph", "expected"), STORIES.values(), ids=STORIES.keys())
def test_what_a_result_is_to_be_like_is_a_parameter(graph: dict[str, Any], expected: dict[str, str]) -> None:
    found = examine(check_graph(graph)).parameters
    targets = {name: " ".join(f"{t.node}.{t.input}" for t in each.targets) for name, each in found.items()}
    assert {name: targets.get(name, "") for name in expected} == expected


def test_a_node_that_takes_no_text_is_not_asked_for_a_prompt() -> None:
    found = examine(check_graph({"1": node("RemoveBackground", video=["2", 0], seed=1), "2": CLIP}))
    assert not found.unclear


def test_numbers_keep_what_the_graph_has_and_take_fractions() -> None:
    graph, _ = STORIES["a partner's node"]
    found = examine(check_graph(graph)).parameters
    assert found["duration"].default == 5
    assert found["duration"].check(2.5) == 2.5
    assert found["resolution"].check("1080p") == "1080p"
