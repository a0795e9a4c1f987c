"""What requests may ask for that ComfyUI has no counterpart of, unless a workflow has a parameter for it.

A field is refused for what it asks, not for being there: programs send most fields with values that change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Harmless = Callable[[Any], bool]

ELSEWHERE = "upscale the picture with /sdapi/v1/extra-single-image instead"
# Scripts that only repeat fields of the request, as AUTOMATIC1111's own page sends them.
_REPEATING = ("sampler", "seed", "comments", "extra options", "api payload")
_OFF_WORDS = ("", "none")


def _is_empty(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_empty, value))
    return not value or (isinstance(value, str) and value.strip().lower() in _OFF_WORDS)


def _is_none_or(*numbers: float) -> Harmless:
    return lambda value: value in numbers


def _is_not_above_zero(value: Any) -> bool:
    return bool(value <= 0)


def _is_off_in_all(scripts: Mapping[str, Any]) -> bool:
    return not any(is_enabled(name, script) for name, script in scripts.items())


# By field: which values change nothing, and what would work instead.
FEATURES: Mapping[str, tuple[Harmless, str]] = {
    "enable_hr": (_is_empty, ELSEWHERE),
    "restore_faces": (_is_empty, ""),
    "tiling": (_is_empty, ""),
    "styles": (_is_empty, "write the style into the prompt"),
    "subseed_strength": (_is_not_above_zero, ""),
    "seed_resize_from_h": (_is_not_above_zero, ""),
    "seed_resize_from_w": (_is_not_above_zero, ""),
    "eta": (_is_none_or(0, 1), ""),
    "s_min_uncond": (_is_none_or(0), ""),
    "s_churn": (_is_none_or(0), ""),
    "s_tmin": (_is_none_or(0), ""),
    "s_noise": (_is_none_or(0, 1), ""),
    "refiner_checkpoint": (_is_empty, ""),
    "firstpass_image": (_is_empty, ""),
    "infotext": (_is_empty, "send its values as fields"),
    "script_name": (_is_empty, ""),
    "alwayson_scripts": (_is_off_in_all, "leave out what is enabled in it"),
    "latent_mask": (_is_empty, "send the mask as mask"),
    "initial_noise_multiplier": (_is_none_or(1), ""),
}

# By field: values that mean "as usual" to the programs that send them always. They are refused to no workflow.
USUAL: Mapping[str, tuple[Any, ...]] = {
    "prompt": ("",),
    "negative_prompt": ("",),
    "seed": (-1,),
    "steps": (20, 50),
    "cfg_scale": (7, 7.5),
    "distilled_cfg_scale": (3.5,),
    "width": (512,),
    "height": (512,),
    "denoising_strength": (0.7, 0.75),
    "clip_skip": (0, 1, -1),
    "sampler_name": ("euler", "euler_ancestral"),
}


def is_enabled(name: str, script: Any) -> bool:
    """Whether an entry of `alwayson_scripts` does anything.

    ControlNet's arguments are units with a switch each; those of most others begin with a switch, or have it in the
    second place.
    """
    arguments = script.get("args") if isinstance(script, Mapping) else script
    if not arguments or name.strip().lower() in _REPEATING:
        return False
    if isinstance(arguments, Mapping):
        arguments = list(arguments.values())
    if not isinstance(arguments, list):
        return True
    if arguments[0] is False or (not isinstance(arguments[0], (bool, Mapping)) and arguments[1:2] == [False]):
        return False
    units = [each for each in arguments if isinstance(each, Mapping)]
    return not units or any(map(_is_unit_enabled, units))


def _is_unit_enabled(unit: Mapping[str, Any]) -> bool:
    if unit.get("enabled") is False or unit.get("enable") is False:
        return False
    names = [unit[key] for key in ("ad_model", "model", "module") if key in unit]
    return not names or not all(map(_is_empty, names))


def shown_number(value: Any) -> Any:
    """A number as people write it: 7 for 7.0."""
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value
