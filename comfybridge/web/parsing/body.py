"""The body of a request as a JSON object, whatever its Content-Type says.

This module refuses values that Python's `json` accepts but JSON does not have (NaN, Infinity), numbers that ComfyUI
could not store, and nesting so deep that it would break code that walks it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.json_size import MOST_VALUES, holds_too_much
from comfybridge.web.parsing.charsets import decoded

EXAMPLE = '{"prompt": "a cat"}'  # of a body, for most of what the bridge is asked
DEEPEST = 100
# JSON can contain a lone surrogate, which cannot be written to a file
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# ComfyUI's largest integers are seeds of 64 bits.
LARGEST_INTEGER = 2**64 - 1


def read_json(raw: bytes, charset: str | None, example: str = EXAMPLE) -> dict[str, Any]:
    """Parse a whole body.

    Args:
        charset: from `charsets.charset_of`.
        example: a good body, for the message.

    Raises:
        InvalidRequest: it is not a JSON object, or has values that JSON does not have.
    """
    wanted = object_like(example)
    if not raw.strip():
        raise InvalidRequest(f"The body is empty; {wanted}.")
    body = parse_json(raw, wanted=wanted, charset=charset)
    if isinstance(body, str) and body.lstrip().startswith("{"):  # a program encoded it as JSON twice
        body = parse_json(body.encode("utf-8", "surrogatepass"), wanted=wanted)
    if not isinstance(body, dict):
        raise InvalidRequest(f"The body is {_name(body)}; {wanted}.")
    return body


def object_like(example: str = EXAMPLE) -> str:
    """What a body must be, as the end of a sentence."""
    return f"it must be a JSON object, such as {example}"


def parse_json(raw: bytes, what: str = "The body", *, wanted: str, charset: str | None = None) -> object:
    """The JSON in some bytes.

    Args:
        what: names them in the message.
        wanted: what they must be.
        charset: from `charsets.charset_of`.

    Raises:
        InvalidRequest: it is not JSON, has values that JSON does not have, or too many values.
    """
    if holds_too_much(raw):
        raise InvalidRequest(f"{what} holds more than {MOST_VALUES} values, the most that is accepted.")
    text = decoded(raw, charset, what, wanted)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        # a Windows shell, or a missing pair of ' around the body, removes all the " from it
        hint = " (did the shell take its quotes away?)" if '"' not in text and ":" in text else ""
        raise InvalidRequest(
            f"{what} is not JSON ({error.msg} at line {error.lineno}, column {error.colno}); {wanted}{hint}."
        ) from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise _too_large_number() from None


def _refuse_constant(name: str) -> float:
    raise InvalidRequest(f"The body holds {name}, which JSON does not have; numbers must be finite.")


def check_values(body: object) -> None:
    """Refuse values that ComfyUI could not store. Walks level by level, without recursion, so depth can't break it.

    Raises:
        InvalidRequest: a number is too large, a text is malformed, or the nesting is too deep.
    """
    level: list[Any] = [body]
    for _ in range(DEEPEST):
        further: list[Any] = []
        for value in level:
            if isinstance(value, str):
                if not value.isascii() and _HALF_CHARACTER.search(value):
                    raise _half_character()
            elif isinstance(value, (dict, list)):
                further += _children(value)
            elif isinstance(value, (int, float)) and _is_too_large(value):
                raise _too_large_number()
        if not further:
            return
        level = further
    raise _too_deep()


def _children(value: dict[str, Any] | list[Any]) -> Iterable[object]:
    return (*value, *value.values()) if isinstance(value, dict) else value


def _is_too_large(value: float) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)  # 1e999 reads as infinity
    return abs(value) > LARGEST_INTEGER


def _half_character() -> InvalidRequest:
    return InvalidRequest("The body holds half of a character (a lone \\ud800 to \\udfff), which is not text.")


def _too_large_number() -> InvalidRequest:
    return InvalidRequest(f"The body holds a number that is too large; the largest integer is {LARGEST_INTEGER}.")


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The body is nested too deeply; it may have {DEEPEST} levels.")


def _name(value: object) -> str:
    names: dict[type, str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
