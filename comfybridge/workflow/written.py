"""Values written as text, whose meaning depends on the expected type: the fields of a form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from comfybridge.workflow.graph import Graph, parse_target
from comfybridge.workflow.parameters import Parameter

NUMBER = re.compile(r"\s*[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?\s*")
LARGEST = 2**64 - 1  # of ComfyUI's integers, its seeds
BOOLEANS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
WANTED_BY_TYPE: dict[str | None, str] = {
    "string": "text",
    "image": "text",
    "video": "text",
    "audio": "text",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
}


class Written(str):
    """A value as text: `768` is a number where a number is expected, and a text where a text is."""

    __slots__ = ()


def read_written(params: Mapping[str, Any], parameters: Mapping[str, Parameter], graph: Graph) -> dict[str, Any]:
    """The parameters with their texts converted, by the parameter's type or by the input's present value.

    Any text is a number where a number is expected, and a boolean where a boolean is: some programs that write JSON
    have no numbers. Other meanings, such as null or a link, are for `Written` texts only.
    """
    return {
        name: _read(value, _wanted(name, parameters, graph)) if isinstance(value, str) else value
        for name, value in params.items()
    }


def number_in(text: str) -> int | float | None:
    """The number in a text; None if it is not a number, or too large for ComfyUI."""
    if not NUMBER.fullmatch(text):
        return None
    try:
        number: int | float = int(text)
    except ValueError:
        number = float(text)
    return number if abs(number) <= LARGEST else None


def boolean_in(text: str) -> bool | None:
    """The boolean in a text as forms and programs write it, `true` or `on`, `False` or `0`; None if it is neither."""
    return BOOLEANS.get(text.strip().lower())


def _wanted(name: str, parameters: Mapping[str, Parameter], graph: Graph) -> str | None:
    """`text`, `number` or `boolean`; None if unknown."""
    if name in parameters:
        parameter = parameters[name]
        return "number" if parameter.is_seed else WANTED_BY_TYPE.get(parameter.type)
    parsed = parse_target(name, graph) if isinstance(name, str) else None  # callers of the Python API may err
    if parsed is None or parsed[0] not in graph:
        return None
    held = graph[parsed[0]]["inputs"].get(parsed[1])
    if isinstance(held, str):
        return "text"
    if isinstance(held, bool):
        return "boolean"
    return "number" if isinstance(held, (int, float)) else None


def _read(text: str, wanted: str | None) -> Any:
    """The value of a text for an expected type; the text itself if it does not fit."""
    if wanted == "text":
        return str(text)
    meant = number_in(text) if wanted == "number" else boolean_in(text) if wanted == "boolean" else None
    if meant is None and isinstance(text, Written):
        try:
            value = json.loads(text if text[:1] != "T" and text[:1] != "F" else text.lower())
        except (ValueError, RecursionError):
            return str(text)
        if isinstance(value, (int, float, bool, list)) or value is None:
            return value
    return str(text) if meant is None else meant
