"""The values that a node's input accepts besides links, and the editor's initial ones."""

from __future__ import annotations

import math
from typing import Any

from comfybridge.comfyui.dynamic_inputs import COMBO, keys, parts

# If ComfyUI's page fetches the choices itself, the listed ones are missing or incomplete.
FETCHED = ("remote", "remote_combo")
NUMBERS = ("INT", "FLOAT")
_EMPTY = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}


def choices_of(config: Any) -> list[Any] | None:
    """The choices of one input; None if it is not a choice, or the choices are unknown.

    Args:
        config: its options; ComfyUI writes `[[...], {...}]`, `["COMBO", {"options": [...]}]`, or more.
    """
    kind, options = parts(config)
    if isinstance(kind, list):
        return kind
    if kind == COMBO:
        return keys(config)
    listed = options.get("options") if kind == "COMBO" and not any(map(options.get, FETCHED)) else None
    return listed if isinstance(listed, list) else None


def accepts(config: Any, value: Any) -> bool:
    """Whether an input can hold a value, as far as its options say. A link is not followed."""
    choices = choices_of(config)
    if isinstance(value, list):
        return True
    if choices is not None:
        return value in choices
    kind, options = parts(config)
    if kind == "BOOLEAN":
        return isinstance(value, bool)
    if kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return _limit(options.get("min"), -math.inf) <= value <= _limit(options.get("max"), math.inf)
    return True  # ComfyUI converts any value of a STRING to text


def default_of(config: Any) -> Any:
    """The editor's initial value of an input; None if it takes only links, or the value is unknown."""
    kind, options = parts(config)
    if options.get("forceInput"):
        return None
    choices = choices_of(config)
    default = options.get("default", _EMPTY.get(kind) if isinstance(kind, str) else None)
    if choices is not None and default not in choices:
        return choices[0] if choices else None
    if kind in NUMBERS and isinstance(default, (int, float)):
        lowest = options.get("min")
        return lowest if default < _limit(lowest, -math.inf) else default
    return default


def _limit(value: Any, otherwise: float) -> float:
    return value if isinstance(value, (int, float)) else otherwise
