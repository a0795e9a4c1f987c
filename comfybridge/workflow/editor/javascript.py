"""Values as in JavaScript, with whose numbers the editor reads files and writes prompts."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

DEEPEST = 60  # levels of nested lists and objects

_EXACT = 2**53  # below this, every whole number is exact
_IN_DIGITS = 1e21  # from here on, JavaScript writes an exponent


class TooDeep(Exception):
    """A value is nested more than `DEEPEST` levels deep."""


def plain(value: Any, depth: int = 0) -> Any:
    """The value as the editor would send it: a copy that shares nothing with the file.

    Numbers are doubles: 2**53 + 1 becomes 2**53, 1.0 becomes 1. Values that JSON does not have become None.

    Raises:
        TooDeep: it is nested too deeply.
    """
    if depth > DEEPEST:
        raise TooDeep
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, (list, tuple)):
        return [plain(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {text(key): plain(each, depth + 1) for key, each in value.items()}
    return None


def number(value: int | float) -> int | float | None:
    """The number as a double; None if a double can't represent it."""
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return value
    try:
        double = float(value)
    except OverflowError:
        return None
    if not math.isfinite(double):
        return None
    if not double.is_integer() or abs(double) >= _IN_DIGITS:
        return double
    return int(double) if abs(double) <= _EXACT else int(Decimal(repr(double)))


def text(value: Any) -> str:
    """A value as text, as JavaScript's `String` writes it; empty for null."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _digits(value)
    if isinstance(value, (list, tuple)):
        return ",".join("" if isinstance(each, (list, dict)) else text(each) for each in value)
    return "[object Object]"


def _digits(value: int | float) -> str:
    double = number(value)
    if double is None:
        return "Infinity"
    if isinstance(double, int):
        return str(double)
    if 1e-6 <= abs(double) < _IN_DIGITS:
        return format(Decimal(repr(double)), "f")
    mantissa, _, exponent = repr(double).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
