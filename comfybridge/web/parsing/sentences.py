"""Turns pydantic's errors about a body into one sentence for people."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from comfybridge.validation import wanted

# A dialect's sentence about an unknown field, from its name, its value and the known names; None: the usual sentence.
OfUnknown = Callable[[str, object, Sequence[str]], "str | None"]

LONGEST_VALUE = 80


def sentence(error: ValidationError, model: type[BaseModel], of_unknown: OfUnknown = lambda *_: None) -> str:
    """A sentence that names the wrong field and what is accepted.

    Args:
        model: the validated model. A field of it may be an object of another model, with an example of one.
        of_unknown: may say more about an unknown field.
    """
    errors = error.errors()
    worst = _worst(errors)
    field = _field(worst, model)
    if worst["type"] == "extra_forbidden":
        return _unknown_field(field, worst["input"], model, of_unknown)
    if worst["type"] == "missing":
        return f"{field} is missing."
    # a field of several types has an error for each
    wishes = list(dict.fromkeys(_wish(each, model) for each in errors if _field(each, model) == field))
    return f"{field} must be {' or '.join(wishes)}, not {_shown(errors[0]['input'])}."


def field_of(error: ValidationError, model: type[BaseModel]) -> str:
    """The name of the field that the sentence is about."""
    return _field(_worst(error.errors()), model)


def _worst(errors: Sequence[Any]) -> Any:
    """An unknown field before others."""
    return next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])


def nested(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a field that is an object with fields of its own; None for other fields."""
    field = model.model_fields.get(name)
    options = () if field is None else (field.annotation, *get_args(field.annotation))
    return next((each for each in options if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _field(error: Any, model: type[BaseModel]) -> str:
    """A field's name, with that of the object around it; the rest of the location is list indexes and types."""
    names = [str(each) for each in error["loc"]]
    return ".".join(names[:2]) if nested(model, names[0]) else names[0]


def _wish(error: Any, model: type[BaseModel]) -> str:
    if error["type"] == "model_type":
        examples = model.model_fields[str(error["loc"][0])].examples
        return f"an object, such as {json.dumps(examples[0])}" if examples else "an object"
    return wanted(error)


def _shown(value: object) -> str:
    text = repr(value)
    names = {"None": "null", "True": "true", "False": "false"}
    return names.get(text) or (text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "...")


def _unknown_field(name: str, value: object, model: type[BaseModel], of_unknown: OfUnknown) -> str:
    outer, dot, _ = name.partition(".")
    around = nested(model, outer)
    beside = [f"{outer}.{each}" for each in around.model_fields] if around and dot else list(model.model_fields)
    said = of_unknown(name, value, beside)
    if said is not None:
        return said
    near = near_to(name, beside)
    if near is not None:
        return f"Unknown field {name[:100]!r} (did you mean {near!r}?)."
    return f"Unknown field {name[:100]!r}; the fields are {', '.join(beside)}."


def near_to(name: str, names: Sequence[str]) -> str | None:
    """The known name that was most likely meant; a common object name does not count for similarity."""
    outer = name.partition(".")[0] + "." if "." in names[0] else ""
    near = difflib.get_close_matches(name.removeprefix(outer), [each.removeprefix(outer) for each in names], n=1)
    return outer + near[0] if near else None
