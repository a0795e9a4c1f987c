"""What pydantic finds wrong with a body, as one sentence for people."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from comfybridge.validation import wanted

# the names of a template's parameters, by its name (None: of the configured one); none if there is no such template
ParametersOf = Callable[["str | None"], Collection[str]]

# The fields that are objects with fields of their own.
NESTED = ("output",)
# A body that says it all, for each such field.
EXAMPLES = {"output": '{"format": "webp"}'}
LONGEST_VALUE = 80


def sentence(
    error: ValidationError, model: type[BaseModel], body: Mapping[str, Any], parameters_of: ParametersOf
) -> str:
    """What is wrong with which field, and what is accepted."""
    errors = error.errors()
    unknown = [each for each in errors if each["type"] == "extra_forbidden"]
    if unknown:
        return _unknown_field(_field(unknown[0]), unknown[0]["input"], model, body, parameters_of)
    field = _field(errors[0])
    # a field of several types has an error for each
    wishes = list(dict.fromkeys(_wish(each, field) for each in errors if _field(each) == field))
    return f"{field} must be {' or '.join(wishes)}, not {_shown(errors[0]['input'])}."


def _field(error: Any) -> str:
    """A field's name, with that of the object around it; behind it stand list indexes and types."""
    names = [str(each) for each in error["loc"]]
    return ".".join(names[:2]) if names[0] in NESTED else names[0]


def _wish(error: Any, field: str) -> str:
    if error["type"] == "model_type":
        return f"an object, such as {EXAMPLES[field]}"
    return wanted(error)


def _shown(value: object) -> str:
    text = repr(value)
    names = {"None": "null", "True": "true", "False": "false"}
    return names.get(text) or (text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "...")


def _unknown_field(
    name: str, value: object, model: type[BaseModel], body: Mapping[str, Any], parameters_of: ParametersOf
) -> str:
    known = _names(model, name)
    workflow = body.get("workflow")
    template = workflow if isinstance(workflow, str) else None
    is_parameter = not isinstance(workflow, dict) and name in parameters_of(template)
    if is_parameter or ("." in name and name.partition(".")[0] not in NESTED):
        shown = json.dumps(value) if isinstance(value, (str, int, float)) else "..."
        shown = shown if len(shown) <= LONGEST_VALUE else "..."
        return f'Put {name[:100]} into params: {{"params": {{{json.dumps(name[:100])}: {shown}}}}}.'
    outer = name.partition(".")[0] + "." if known[0].partition(".")[1] else ""
    near = difflib.get_close_matches(name.removeprefix(outer), [each.removeprefix(outer) for each in known], n=1)
    if near:
        return f"Unknown field {name[:100]!r} (did you mean {outer + near[0]!r}?)."
    return (
        f"Unknown field {name[:100]!r}; what only this workflow takes goes into params, and the fields are "
        f"{', '.join(known)}."
    )


def _names(model: type[BaseModel], beside: str) -> list[str]:
    """The names of the fields beside one."""
    outer = beside.partition(".")[0]
    if outer == beside or outer not in NESTED:
        return list(model.model_fields)
    properties = model.model_json_schema()["$defs"]["OutputBody"]["properties"]
    return [f"{outer}.{name}" for name in properties]
