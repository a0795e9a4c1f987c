"""Rounds numbers as widgets do when a primitive node writes to them.

The widget of a primitive node starts with the options of the first widget that it feeds. It takes on what the options
of each further one have in common with these, unless they contradict each other, and rounds its value each time. The
widget that is written to rounds it once more, by its own options.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from comfybridge.workflow.editor.classes import Declared

NUMBERS = ("INT", "FLOAT")
LONGEST_NUMBER = 400  # characters
# What a widget for FLOAT has if its class declares nothing.
_LOWEST, _HIGHEST, _STEP = 0, 2048, 0.5
_EXACT = 2**53  # doubles beyond have no fractions
_DIGITS = 400  # enough for any double, so that texts of numbers are exact
_NEAR = 1e-10  # what the editor takes for 0 when it looks for a common step
_OF_NO_ACCOUNT = frozenset(  # options that may differ between widgets that one primitive node feeds
    (
        "default",
        "forceInput",
        "defaultInput",
        "control_after_generate",
        "multiline",
        "tooltip",
        "dynamicPrompts",
        "min",
        "max",
        "step",
    )
)

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def of_primitive(value: Any, fed: Sequence[Declared]) -> Any:
    """The value of a primitive node once the editor has opened the file.

    Args:
        value: the saved one.
        fed: the inputs that it is linked to, at least one, in the order of the links. The editor does not look up the
            options of those that belong to a choice of a dynamic combo.
    """
    kind, options = fed[0].kind, fed[0].options
    if kind not in NUMBERS or fed[0].is_of_choice:
        return value
    for each in fed:
        is_like = each.kind == kind and not each.is_of_choice
        common = _common(options, each.options) if is_like else None
        if common is not None:
            options = common
            value = rounded(_within(value, options["min"], options["max"]), kind, options)
    return value


def rounded(value: Any, look: str, options: Mapping[str, Any]) -> Any:
    """The value as a widget for numbers takes it; NaN for what is no number.

    Args:
        look: the widget's type, one of NUMBERS.
        options: those of the widget.
    """
    number = _as_number(value)
    if not math.isfinite(number):
        return math.nan
    if look == "INT":
        return _to_step(number, _number(options, "step", 1), _number(options, "min", 0))
    return _to_digits(
        number,
        _number(options, "step", _STEP),
        options.get("round"),
        _number(options, "min", _LOWEST),
        _number(options, "max", _HIGHEST),
    )


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the options of two widgets for numbers have in common; None if they contradict each other."""
    low = max(_number(one, "min", -math.inf), _number(other, "min", -math.inf))
    high = min(_number(one, "max", math.inf), _number(other, "max", math.inf))
    names = {*one, *other} - _OF_NO_ACCOUNT
    if low > high or not all(_same(one.get(name), other.get(name)) for name in names):
        return None
    step = _common_step(_number(one, "step", 1), _number(other, "step", 1))
    return {**one, **other, "min": low, "max": high, "step": step}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same in JavaScript, where lists and objects are the same only as themselves."""
    if isinstance(one, (list, Mapping, bool)) or isinstance(other, (list, Mapping, bool)):
        return one is other
    return bool(one == other)


def _within(value: Any, low: int | float, high: int | float) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return min(max(value, low), high) if is_number else value


def _to_step(number: int | float, step: int | float, low: int | float) -> int | float:
    step = step or 1
    if step == 1:
        return number if isinstance(number, int) else math.floor(number + 0.5)
    if abs(number / step) >= _EXACT or not math.isfinite(step):
        return number
    shift = math.fmod(low, step) if math.isfinite(low) else 0
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
    """The least common multiple, also of fractions."""
    if isinstance(one, int) and isinstance(other, int):
        return math.lcm(one, other)
    rest, divisor = abs(other), abs(one)
    if not (_NEAR < rest < _EXACT and _NEAR < divisor < _EXACT):
        return max(one, other)
    product = divisor * rest
    for _ in range(100):
        if rest <= _NEAR:
            break
        divisor, rest = rest, math.fmod(divisor, rest)
    return product / divisor


def _number(options: Mapping[str, Any], name: str, otherwise: int | float) -> int | float:
    value = options.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return otherwise
    return value


def _as_number(value: Any) -> int | float:
    """What JavaScript takes for the number in a value; NaN if it is none."""
    if isinstance(value, (int, float)):
        return value
    if value is None:
        return 0
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return 0
        return float(text) if len(text) < LONGEST_NUMBER and _NUMBER.fullmatch(text) else math.nan
    return math.nan
