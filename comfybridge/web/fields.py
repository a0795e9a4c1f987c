"""The fields of a request as the texts of a form: `seed=5`, `output.format=webp`, `params.steps=4`, `3.steps=4`.

What is no field is a parameter of the workflow. An empty text is a field that is not given: browsers send the boxes
that nobody filled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.web.schemas import GenerateBody, OutputBody
from comfybridge.workflow.wording import clip
from comfybridge.workflow.written import Written

PARAMS = "params"
OUTPUT = "output"


def add_field(fields: dict[str, Any], name: str, text: str) -> None:
    """Add what a part of a form says to the fields of its request.

    Raises:
        InvalidRequest: it is given already, or has no name.
    """
    if not name:
        raise InvalidRequest("The form has a field without a name; write -F prompt=..., for example.")
    if not text.strip():
        return
    outer, _, inner = name.partition(".")
    types = _field_types()
    if name in types:
        value = _converted(text, types[name])
        if name in (OUTPUT, PARAMS) and isinstance(value, dict) and name in fields:
            for each, inside in value.items():
                set_once(_inside(fields, name), each, inside, f"{name}.{each}")
        else:
            set_once(fields, name, value)
    elif outer == OUTPUT and inner:
        set_once(_inside(fields, OUTPUT), inner, _converted(text, _output_types().get(inner, {"string"})), name)
    elif outer == PARAMS and inner:
        set_once(_inside(fields, PARAMS), inner, Written(text), name)
    else:
        set_once(_inside(fields, PARAMS), name, Written(text))


def set_once(fields: dict[str, Any], name: str, value: Any, shown: str = "") -> None:
    """Set a field.

    Args:
        shown: its name in the form, if that is another.

    Raises:
        InvalidRequest: it is given already.
    """
    if name in fields:
        raise InvalidRequest(f"The form gives {clip(shown or name)} twice.")
    fields[name] = value


def _inside(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The field that is an object, made if it is not there."""
    value = fields.setdefault(name, {})
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object as JSON, or be left out where {name}.NAME is given.")
    return value


def _converted(text: str, types: set[str]) -> Any:
    """The value that a text stands for; the text itself where it is no such value, and the schema will say so."""
    may_be_text = "string" in types
    if may_be_text and ("object" not in types or not text.lstrip().startswith("{")):
        return text
    try:
        value = json.loads(text.strip().lower() if types == {"boolean"} else text)
    except (ValueError, RecursionError):
        return text
    return text if may_be_text and not _looks_like_graph(value) else value


def _looks_like_graph(value: object) -> bool:
    """Whether it is a graph in API format, or what ComfyUI's editor saves, which gets an error of its own."""
    if not isinstance(value, dict):
        return False
    return "nodes" in value or any(isinstance(each, dict) and "class_type" in each for each in value.values())


@cache
def _field_types() -> dict[str, set[str]]:
    """The JSON types that each field takes, beside null."""
    return _types_of(GenerateBody.model_json_schema()["properties"])


@cache
def _output_types() -> dict[str, set[str]]:
    return _types_of(OutputBody.model_json_schema()["properties"])


def _types_of(properties: Mapping[str, Any]) -> dict[str, set[str]]:
    return {name: set(_types(schema)) - {"null"} for name, schema in properties.items()}


def _types(schema: Mapping[str, Any]) -> list[str]:
    if "anyOf" in schema:
        return [each for option in schema["anyOf"] for each in _types(option)]
    return [schema.get("type", "string" if "const" in schema or "enum" in schema else "object")]
