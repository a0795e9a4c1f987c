"""Nodes that turn text into conditionings."""

from comfybridge.simulator.nodes.definition import NodeRun, decimal, integer, node
from comfybridge.simulator.nodes.values import Conditioning, Model

_TEXT = ("STRING", {"multiline": True, "dynamicPrompts": True})


@node(
    "CLIPTextEncode",
    {"text": _TEXT, "clip": ("CLIP", {})},
    returns=("CONDITIONING",),
    category="conditioning",
    title="CLIP Text Encode (Prompt)",
)
def encode_text(_: NodeRun, text: str, clip: Model) -> tuple[Conditioning]:
    return (Conditioning(text),)


@node(
    "CLIPTextEncodeSDXL",
    {
        "clip": ("CLIP", {}),
        "width": integer(1024, 0, 16384),
        "height": integer(1024, 0, 16384),
        "crop_w": integer(0, 0, 16384),
        "crop_h": integer(0, 0, 16384),
        "target_width": integer(1024, 0, 16384),
        "target_height": integer(1024, 0, 16384),
        "text_g": _TEXT,
        "text_l": _TEXT,
    },
    returns=("CONDITIONING",),
    category="advanced/conditioning",
    module="comfy_extras.nodes_clip_sdxl",
    modern=True,
)
def encode_text_sdxl(_: NodeRun, text_g: str, text_l: str, **sizes: object) -> tuple[Conditioning]:
    return (_joined(text_g, text_l),)


@node(
    "CLIPTextEncodeFlux",
    {"clip": ("CLIP", {}), "clip_l": _TEXT, "t5xxl": _TEXT, "guidance": decimal(3.5, 0.0, 100.0, 0.1)},
    returns=("CONDITIONING",),
    category="advanced/conditioning/flux",
    module="comfy_extras.nodes_flux",
    modern=True,
)
def encode_text_flux(_: NodeRun, clip: Model, clip_l: str, t5xxl: str, guidance: float) -> tuple[Conditioning]:
    return (_joined(clip_l, t5xxl),)


@node(
    "FluxGuidance",
    {"conditioning": ("CONDITIONING", {}), "guidance": decimal(3.5, 0.0, 100.0, 0.1)},
    returns=("CONDITIONING",),
    category="advanced/conditioning/flux",
    module="comfy_extras.nodes_flux",
    modern=True,
)
def flux_guidance(_: NodeRun, conditioning: Conditioning, guidance: float) -> tuple[Conditioning]:
    return (conditioning,)


@node(
    "ConditioningZeroOut",
    {"conditioning": ("CONDITIONING",)},
    returns=("CONDITIONING",),
    category="advanced/conditioning",
)
def zero_out(_: NodeRun, conditioning: Conditioning) -> tuple[Conditioning]:
    return (Conditioning(""),)


@node(
    "ConditioningCombine",
    {"conditioning_1": ("CONDITIONING",), "conditioning_2": ("CONDITIONING",)},
    returns=("CONDITIONING",),
    category="conditioning",
    title="Conditioning (Combine)",
)
def combine(_: NodeRun, conditioning_1: Conditioning, conditioning_2: Conditioning) -> tuple[Conditioning]:
    return (_joined(conditioning_1.text, conditioning_2.text),)


def _joined(first: str, second: str) -> Conditioning:
    texts = [first] if first == second else [first, second]
    return Conditioning(" | ".join(text for text in texts if text))
