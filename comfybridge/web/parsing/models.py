"""Checks the fields of a body, and makes a model of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError

from comfybridge.errors import InvalidRequest
from comfybridge.web.parsing.body import EXAMPLE, check_values, read_json
from comfybridge.web.parsing.body_stream import BodyStream, in_turn
from comfybridge.web.parsing.charsets import charset_of
from comfybridge.web.parsing.sentences import OfUnknown, field_of, sentence

Model = TypeVar("Model", bound=BaseModel)


def validated(fields: Mapping[str, Any], model: type[Model], of_unknown: OfUnknown = lambda *_: None) -> Model:
    """The model of some fields.

    Args:
        of_unknown: as `sentence` takes it.

    Raises:
        InvalidRequest: a field is unknown, of the wrong type, out of range, or holds what ComfyUI can't.
    """
    check_values(fields)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(sentence(error, model, of_unknown), field=field_of(error, model)) from None


def json_fields(request: Request, most: int, example: str = EXAMPLE) -> dict[str, Any]:
    """The fields of a request whose body is JSON, whatever its Content-Type says.

    Args:
        most: how many bytes it may have.
        example: a good body, for messages.

    Raises:
        InvalidRequest, TooLarge, UnsupportedMediaType: it cannot be read, or is not a JSON object.
    """
    charset = charset_of(request)
    with in_turn(request):
        return read_json(BodyStream(request, most, "a JSON body may have").read_all(), charset, example)
