"""Types of fields that also take what programs without such types send.

"20" and 20.0 are integers where one is wanted, and "true" is a boolean.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from comfybridge.workflow.written import boolean_in, number_in


def number(value: object) -> object:
    """The number in a text; other values are not changed."""
    meant = number_in(value) if isinstance(value, str) else None
    return value if meant is None else meant


def whole(value: object) -> object:
    """The integer in a text, or in a float without a fraction; other values are not changed."""
    meant = number(value)
    return int(meant) if isinstance(meant, float) and meant.is_integer() else meant


def boolean(value: object) -> object:
    """The boolean in a text; other values are not changed."""
    meant = boolean_in(value) if isinstance(value, str) else None
    return value if meant is None else meant


def not_blank(value: object) -> object:
    """None for an empty text, which is a box that nobody filled; other values are not changed."""
    return None if isinstance(value, str) and not value.strip() else value


Integer = Annotated[int, Field(strict=True), BeforeValidator(whole)]
Number = Annotated[float, Field(strict=True), BeforeValidator(number)]
Boolean = Annotated[bool, Field(strict=True), BeforeValidator(boolean)]
