"""The fields of a request as the texts of a form: `seed=5`, `output.format=webp`, `params.steps=4`, `3.steps=4`.

Any other name is a parameter of the workflow. An empty text means that the field is not given: browsers send empty
boxes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.files.sent import MOST_FILES
from comfybridge.web.dialects.native.envelopes import JOB, job_in
from comfybridge.web.dialects.native.foreign_fields import IDLE, NOT_DONE
from comfybridge.web.dialects.native.schemas import GenerateBody, OutputBody
from comfybridge.web.parsing.body import object_like, parse_json
from comfybridge.web.parsing.written_fields import TEXT, field_types, json_in
from comfybridge.workflow.wording import clip
from comfybridge.workflow.wrapping import unwrap
from comfybridge.workflow.written import Written

PARAMS = "params"
OUTPUT = "output"
IMAGES = "images"
PRESETS = "presets"
LABELS = "labels"
REQUEST = "request"  # all fields as one JSON object
MOST_FIELDS = 2 * MOST_FILES
# the notation of PHP and jQuery for dots
_BRACKETS = re.compile(rf"({PARAMS}|{OUTPUT}|{IMAGES}|{PRESETS}|{LABELS})\[([^\[\]]+)\]")


def fields_of(
    texts: Iterable[tuple[str, str]],
    given: Iterable[Mapping[str, Any]] = (),
    model: type[GenerateBody] = GenerateBody,
) -> dict[str, Any]:
    """The fields in a form's texts, as in a JSON body.

    Args:
        given: fields from other parts of the form.
        model: the model of the body, which has the fields.

    Raises:
        InvalidRequest: a field occurs twice, has no name, or can't be read.
    """
    fields: dict[str, Any] = {}
    plain = []
    for name, text in texts:
        if name != REQUEST:
            plain.append((name, text))
        elif text.strip():  # an empty box, which browsers send too
            _merge(fields, json_fields(text.encode()))
    for each in given:
        _merge(fields, each)
    for name, text in sorted(plain, key=lambda field: _is_inner(field[0])):  # a whole object before its parts
        add_field(fields, name, text, model)
    _part_from_params(fields)
    return fields


def _part_from_params(fields: dict[str, Any]) -> None:
    """Move fields that another tool sends beside a graph out of `params`: they are not parameters."""
    params = fields.get(PARAMS)
    if not isinstance(params, dict):
        return
    foreign = [name for name in params if name in IDLE or name in NOT_DONE]
    if foreign and any(unwrap(value) is not None for name, value in fields.items() if name != PARAMS):
        for name in foreign:
            set_once(fields, name, params.pop(name))


def json_fields(raw: bytes) -> dict[str, Any]:
    """The fields in a form's part `request`.

    Raises:
        InvalidRequest: it is not a JSON object.
    """
    fields = parse_json(raw, f"The form's part {REQUEST}", wanted=object_like())
    if not isinstance(fields, dict):
        raise InvalidRequest(f"The form's part {REQUEST} must be a JSON object.")
    return fields


def _merge(fields: dict[str, Any], given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        set_once(fields, name, value)


def _is_inner(name: str) -> bool:
    return "." in name or "[" in name


def add_field(fields: dict[str, Any], name: str, text: str, model: type[GenerateBody] = GenerateBody) -> None:
    """Add a part of a form to the fields of its request.

    Args:
        model: the model of the body, which has the fields.

    Raises:
        InvalidRequest: it is given already, or has no name.
    """
    if not name:
        raise InvalidRequest("The form has a field without a name; write -F prompt=..., for example.")
    if not text.strip():
        return
    brackets = _BRACKETS.fullmatch(name)
    if brackets is not None:
        name = ".".join(brackets.groups())
    outer, _, inner = name.partition(".")
    types = field_types(model)
    if name in types:
        value = _converted(text, types[name])
        if name in (OUTPUT, PARAMS) and isinstance(value, dict) and name in fields:
            for each, inside in value.items():
                set_once(_inside(fields, name), each, inside, f"{name}.{each}")
        else:
            set_once(fields, name, value)
    elif outer == OUTPUT and inner:
        set_once(_inside(fields, OUTPUT), inner, _converted(text, field_types(OutputBody).get(inner, {TEXT})), name)
    elif outer in (IMAGES, PRESETS, LABELS) and outer in types and inner:
        set_once(_inside(fields, outer), inner, text, name)
    elif outer == PARAMS and inner:
        set_once(_inside(fields, PARAMS), inner, Written(text), name)
    elif _wraps_a_graph(name, text, model):
        set_once(fields, name, text)
    else:
        set_once(_inside(fields, PARAMS), name, Written(text))


def _wraps_a_graph(name: str, text: str, model: type[GenerateBody]) -> bool:
    """Whether a text is another tool's wrapping of a graph, which its content shows, as in a JSON body."""
    if name == JOB:
        return job_in(text, model.model_fields) is not None
    return not _is_inner(name) and unwrap(text) is not None


def set_once(fields: dict[str, Any], name: str, value: Any, shown: str = "") -> None:
    """Set a field.

    Args:
        shown: its name in the form, if that differs.

    Raises:
        InvalidRequest: it is given already.
    """
    if name in fields:
        raise InvalidRequest(f"The form gives {clip(shown or name)} twice.", field=shown or name)
    fields[name] = value


def _inside(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The field that is an object, created if it is missing."""
    value = fields.setdefault(name, {})
    if not isinstance(value, dict):
        said = f"{name} must be an object as JSON, or be left out where {name}.NAME is given."
        raise InvalidRequest(said, field=name)
    return value


def _converted(text: str, types: set[str]) -> Any:
    """The value that a text represents; the text itself if it is not valid, which the schema will report."""
    return text if TEXT in types else json_in(text)  # a text that is a graph is recognized as one elsewhere
