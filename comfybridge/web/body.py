"""The body of a request as a JSON object, whatever its Content-Type says.

Bodies come from anywhere: what Python's `json` lets through and JSON does not have (NaN, Infinity), numbers that
ComfyUI could not hold, and nesting that would break whoever walks it, end here.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable
from typing import IO, Any

from flask import Request

from comfybridge.errors import InvalidRequest, TooLarge
from comfybridge.json_size import MOST_VALUES, holds_too_much

log = logging.getLogger(__name__)

WANTED = 'it must be a JSON object, such as {"prompt": "a cat"}'
URLENCODED = "application/x-www-form-urlencoded"  # what curl -d says of whatever it sends
_URLENCODED_FIELD = re.compile(rb"([a-z_]{1,40})=")
CHUNK = 64 * 1024
DEEPEST = 100
# JSON can write one half of a character that takes two; nothing beyond could write it to a file
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# ComfyUI's largest integers are seeds of 64 bits.
LARGEST_INTEGER = 2**64 - 1
# A client that is still sending does not see an answer; so much of what is too large is read and thrown away.
MOST_DISCARDED = 256 * 1024 * 1024


def read_json(request: Request, most_bytes: int) -> dict[str, Any]:
    """Read and parse the whole body.

    Raises:
        TooLarge: it has more than `most_bytes`.
        InvalidRequest: it is no JSON object, or holds what JSON or ComfyUI can't.
    """
    raw = _read(request, most_bytes)
    if not raw.strip():
        raise InvalidRequest(f"The body is empty; {WANTED}.")
    try:
        body = parse_json(raw)
    except InvalidRequest:
        if request.mimetype == URLENCODED and _URLENCODED_FIELD.match(raw):
            raise InvalidRequest(
                f"The body is urlencoded; {WANTED}, or a form with files as curl -F {_first_field(raw)} sends it."
            ) from None
        raise
    if not isinstance(body, dict):
        raise InvalidRequest(f"The body is {_name(body)}; {WANTED}.")
    check_values(body)
    return body


def _first_field(raw: bytes) -> str:
    """The name of the first field of a urlencoded body, as an argument of curl."""
    match = _URLENCODED_FIELD.match(raw)
    return f"{match[1].decode('ascii')}=..." if match else "prompt=..."


def _read(request: Request, most_bytes: int) -> bytes:
    chunks, size = [], 0
    while chunk := read_some(request.stream, CHUNK):
        size += len(chunk)
        if size <= most_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > most_bytes + MOST_DISCARDED:
            break
    if size > most_bytes:
        raise TooLarge(f"The body has more than {most_bytes} bytes, the most that a JSON body may have.")
    return b"".join(chunks)


def read_some(stream: IO[bytes], size: int) -> bytes:
    """Read more of a body, as the server gives it.

    Raises:
        InvalidRequest: the server can't: each has errors of its own for that.
    """
    try:
        return stream.read(size)
    except Exception as error:
        log.info("A body could not be read: %r", error)
        raise InvalidRequest(
            "The body did not come whole: it was cut off, came too slowly, or its chunks are malformed."
        ) from None


def parse_json(raw: bytes, what: str = "The body", wanted: str = WANTED) -> object:
    """The JSON in some bytes.

    Args:
        what: they are, for the message.
        wanted: what they must be.

    Raises:
        InvalidRequest: it is none, holds what JSON does not have, or more values than anybody needs.
    """
    if holds_too_much(raw):
        raise InvalidRequest(f"{what} holds more than {MOST_VALUES} values; nobody needs so many.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{what} is not UTF-8 text (at byte {error.start}); {wanted}.") from None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        # a Windows shell, or a forgotten pair of ' around the body, takes all the " out of it
        hint = " (did the shell take its quotes away?)" if '"' not in text and ":" in text else ""
        raise InvalidRequest(
            f"{what} is not JSON ({error.msg} at line {error.lineno}, column {error.colno}); {wanted}{hint}."
        ) from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise _too_large_number() from None


def _refuse_constant(name: str) -> float:
    raise InvalidRequest(f"The body holds {name}, which JSON does not have; numbers must be finite.")


def check_values(body: object) -> None:
    """Refuse what ComfyUI could not hold. Walks level by level: no recursion, so that depth can't break it.

    Raises:
        InvalidRequest: a number is too large, a text is none, or the nesting too deep.
    """
    level: list[object] = [body]
    for _ in range(DEEPEST):
        following: list[object] = []
        for value in level:
            if isinstance(value, (dict, list)):
                following.extend(_children(value))
            elif isinstance(value, str):
                _check_text(value)
            elif _is_too_large(value):
                raise _too_large_number()
        if not following:
            return
        level = following
    raise _too_deep()


def _children(value: dict[str, Any] | list[Any]) -> Iterable[object]:
    return (*value, *value.values()) if isinstance(value, dict) else value


def _check_text(text: str) -> None:
    if _HALF_CHARACTER.search(text):
        raise InvalidRequest("The body holds half of a character (a lone \\ud800 to \\udfff), which is no text.")


def _is_too_large(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)  # 1e999 reads as infinity
    return isinstance(value, int) and abs(value) > LARGEST_INTEGER


def _too_large_number() -> InvalidRequest:
    return InvalidRequest(f"The body holds a number that is too large; the largest integer is {LARGEST_INTEGER}.")


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The body is nested too deeply; it may have {DEEPEST} levels.")


def _name(value: object) -> str:
    names: dict[type, str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
