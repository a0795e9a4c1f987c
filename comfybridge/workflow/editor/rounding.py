"""Rounds numbers as the widget of a primitive node does when the editor opens a file.

That widget has the options of the widgets that it feeds: their common range, and a step that suits them all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from comfybridge.workflow.editor.classes import Declared

NUMBERS = ("INT", "FLOAT")
LONGEST_NUMBER = 400  # characters
# What a widget has if its class declares nothing.
_RANGES = {"INT": (-math.inf, math.inf), "FLOAT": (0, 2048)}
_STEPS = {"INT": 1, "FLOAT": 0.5}
_EXACT = 2**53  # doubles beyond have no fractions
_DIGITS = 400  # enough for any double, so that texts of numbers are exact

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def common_options(fed: Iterable[Declared]) -> dict[str, Any]:
    """The options of a primitive node's widget that feeds some widgets, at least one."""
    every = [dict(each.options) for each in fed]
    common = every[0]
    for other in every[1:]:
        lowest = max(_number(common, "min", -math.inf), _number(other, "min", -math.inf))
        highest = min(_number(common, "max", math.inf), _number(other, "max", math.inf))
        if lowest > highest:
            continue  # the editor can't link them both
        step = _common_step(_number(common, "step", 1), _number(other, "step", 1))
        common = {**common, "min": lowest, "max": highest, "step": step}
    return common


def rounded(value: Any, look: str, options: Mapping[str, Any]) -> Any:
    """The value as a primitive node sends it to a widget for numbers; None for what is no number.

    Args:
        look: the widget's type, one of NUMBERS.
        options: those of the primitive node's widget.
    """
    lowest, highest = _RANGES[look]
    low, high = _number(options, "min", lowest), _number(options, "max", highest)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    number: int | float | None = min(max(value, low), high) if is_number else _as_number(value)
    if number is None or not math.isfinite(number):
        return None
    step = _number(options, "step", _STEPS[look])
    if look == "INT":
        return _to_step(number, step, low if math.isfinite(low) else 0)
    return _to_digits(number, step, options.get("round"), low, high)


def _to_step(number: int | float, step: int | float, low: int | float) -> int | float:
    step = step or 1
    if step == 1:
        return number if isinstance(number, int) else math.floor(number + 0.5)
    if abs(number / step) >= _EXACT or not math.isfinite(step):
        return number
    shift = math.fmod(low, step)
    return math.floor((number - shift) / step + 0.5) * step + shift


def _to_digits(
    number: int | float, step: int | float, given: Any, low: int | float, high: int | float
) -> int | float:
    digits = max(0, -math.floor(math.log10(step))) if 0 < step < math.inf else 0
    unit = 10**-digits if digits and not given else given
    if isinstance(unit, bool) or not isinstance(unit, (int, float)) or not unit:
        return number
    if abs(number / unit) >= _EXACT:
        return min(max(number, low), high)
    multiple = math.floor(number / unit + 0.5) * unit
    with localcontext() as context:
        context.prec = _DIGITS
        written = Decimal(multiple).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return min(max(float(written), low), high)


def _common_step(one: int | float, other: int | float) -> int | float:
    if isinstance(one, int) and isinstance(other, int) and 0 < one < _EXACT and 0 < other < _EXACT:
        return math.lcm(one, other)
    return max(one, other)


def _number(options: Mapping[str, Any], name: str, otherwise: int | float) -> int | float:
    value = options.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return otherwise
    return value


def _as_number(value: Any) -> int | float | None:
    """What JavaScript takes for the number in a value; None if it is none."""
    if value is None or isinstance(value, bool):
        return int(value or 0)
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return 0
        return float(text) if len(text) < LONGEST_NUMBER and _NUMBER.fullmatch(text) else None
    return None
