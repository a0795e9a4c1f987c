"""Facts about a node class: from a server, or built-in for ComfyUI's own classes and the usual packs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from comfybridge.workflow.names import Side, side, word_set


class ClassFacts(Protocol):
    """What a server says of a node class in `/object_info`."""

    @property
    def output_names(self) -> Sequence[str]:
        """The names of its outputs, by their slots."""

    def declared(self, input_name: str) -> tuple[Any, Mapping[str, Any]]:
        """The type and the options of an input; None and no options for one that the class does not have."""

    def limits(self, input_name: str) -> tuple[float | None, float | None]:
        """The minimum and maximum of an input; None where the server gives none."""

    def choices(self, input_name: str, given: Mapping[str, Any] | None = None) -> list[Any] | None:
        """The choices of an input of a node with the given values; None if it is not a choice."""


# describes a class by its name; None if the server has no such class, or no server is known
Facts = Callable[[str], "ClassFacts | None"]

# ComfyUI's own classes (nodes.py, comfy_extras) whose first two outputs are the positive and the negative side
_SIDES_FIRST = word_set(
    "BerniniConditioning ConditioningStableAudio ControlNetApplyAdvanced ControlNetApplySD3 "
    "ControlNetInpaintingAliMamaApply HiDreamO1ReferenceImages Hunyuan3Dv2Conditioning "
    "Hunyuan3Dv2ConditioningMultiView HunyuanRefinerLatent HunyuanVideo15ImageToVideo "
    "HunyuanVideo15SuperResolution InpaintModelConditioning InstructPixToPixConditioning "
    "Kandinsky5ImageToVideo LTXVAddGuide LTXVConditioning LTXVCropGuides LTXVImgToVideo "
    "PairConditioningCombine PairConditioningSetDefaultCombine PairConditioningSetProperties "
    "PairConditioningSetPropertiesAndCombine Pixal3DConditioning SD_4XUpscale_Conditioning SV3D_Conditioning "
    "SVD_img2vid_Conditioning SeedVR2Conditioning StableZero123_Conditioning "
    "StableZero123_Conditioning_Batched TextEncodeBooguEdit TextEncodeMageFlowEdit Trellis2Conditioning "
    "Trellis2ShapeStage Trellis2TextureStage Trellis2UpsampleStage TripoSplatConditioning "
    "VOIDInpaintConditioning Wan22FunControlToVideo WanAnimate2ToVideo WanAnimateToVideo "
    "WanCameraImageToVideo WanDancerVideo WanFirstLastFrameToVideo WanFunControlToVideo WanFunInpaintToVideo "
    "WanHuMoImageToVideo WanImageToVideo WanMoveTrackToVideo WanSCAILToVideo WanSoundImageToVideo "
    "WanSoundImageToVideoExtend WanTrackToVideo WanVaceToVideo"
)
_MODEL_FIRST = frozenset(("LTXVReferenceAudio", "WanInfiniteTalkToVideo", "ApplyInstantID"))
_KNOWN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_SIDES_FIRST, ("positive", "negative")),
    **dict.fromkeys(_MODEL_FIRST, ("model", "positive", "negative")),
    "WanPhantomSubjectToVideo": ("positive", "negative_text", "negative_img_text", "latent"),
    "LoadImage": ("IMAGE", "MASK"),
    "LoadImageMask": ("MASK",),
}
# the highest seeds that classes of packs take, where no server tells
_HIGHEST_SEEDS = {"Seed (rgthree)": 2**50, "easy seed": 2**50, "easy globalSeed": 2**50}


def known_outputs(class_type: str) -> tuple[str, ...] | None:
    """The names of a class's outputs, as far as they are known without a server."""
    return _KNOWN.get(class_type)


def known_highest_seed(class_type: str) -> int | None:
    """The highest seed that a class takes, if it is known without a server."""
    return _HIGHEST_SEEDS.get(class_type)


def output_side(names: Sequence[str] | None, slot: int) -> Side | None:
    """The side that an output is named after, if its name shows one."""
    return side(names[slot]) if names is not None and 0 <= slot < len(names) else None
