"""Reads fields whose objects or lists arrive as JSON text: `"params": "{...}"`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from comfybridge.errors import InvalidRequest
from comfybridge.json_size import MOST_VALUES, holds_too_much

TEXT = "string"
STRUCTURES = {"object", "array"}


def read_texts(fields: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The fields, with JSON texts parsed into objects and lists.

    Fields that may be texts, and texts that are not such JSON, are not changed.

    Raises:
        InvalidRequest: a text has too many values.
    """
    types = field_types(model)
    return {
        name: _read(name, value, types[name]) if isinstance(value, str) and name in types else value
        for name, value in fields.items()
    }


def json_in(text: str) -> Any:
    """The JSON in a text; the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@cache
def field_types(model: type[BaseModel]) -> dict[str, set[str]]:
    """The JSON types that each field takes, besides null."""
    properties = model.model_json_schema()["properties"]
    return {name: set(_types(schema)) - {"null"} for name, schema in properties.items()}


def _read(name: str, text: str, types: set[str]) -> Any:
    if TEXT in types or not types & STRUCTURES or text.lstrip()[:1] not in ("{", "["):
        return text
    if holds_too_much(text):
        raise InvalidRequest(f"{name} holds more than {MOST_VALUES} values, the most that is accepted.")
    return json_in(text)


def _types(schema: Mapping[str, Any]) -> list[str]:
    if "anyOf" in schema:
        return [each for option in schema["anyOf"] for each in _types(option)]
    return [schema.get("type", TEXT if "const" in schema or "enum" in schema else "object")]
