"""Errors as AUTOMATIC1111 writes them: about the fields of a request with status 422, others in another shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from flask import Response, g
from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.errors import BridgeError, InvalidRequest, InvalidWorkflow, NotFound
from comfybridge.web.dialects.automatic1111.blueprint import blueprint
from comfybridge.web.dialects.automatic1111.names import FIELDS, rules_of
from comfybridge.web.parsing.body import check_values
from comfybridge.workflow.template import Template

Model = TypeVar("Model", bound=BaseModel)

UNPROCESSABLE = 422
MOST_PROBLEMS = 20
TEMPLATE = "automatic1111_template"  # where the current request's is kept
VALUE_ERROR = "value_error"


class ProblemAnswer(TypedDict):
    """What is wrong with a field."""

    loc: Annotated[list[str | int], Field(description="body or query, and the field")]
    msg: Annotated[str, Field(description="for people")]
    type: Annotated[str, Field(description="for programs")]


class ValidationAnswer(TypedDict):
    """An error in the fields of a request (422)."""

    detail: list[ProblemAnswer]


class FailureAnswer(TypedDict):
    """Any other error."""

    error: Annotated[str, Field(description="a stable name for programs")]
    detail: Annotated[str, Field(description="the same sentence; Not Found for an address that does not exist")]
    body: Annotated[str, Field(description="empty")]
    errors: Annotated[str, Field(description="one sentence for people")]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a field.

    Attributes:
        field: with dots before what is within it.
        place: where it stands: body or query.
    """

    field: str
    message: str
    type: str = VALUE_ERROR
    place: str = "body"


class Unprocessable(InvalidRequest):
    """A field has a value that can't be used, or asks for something that the workflow can't do."""

    status = UNPROCESSABLE

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(each.message for each in problems), field=problems[0].field)
        self.problems = problems


class UnknownChoice(InvalidRequest):
    """There is no sampler, scheduler or model with that name."""


def validated(fields: Mapping[str, Any], model: type[Model]) -> Model:
    """The model of some fields.

    Raises:
        InvalidRequest: a value is not JSON's.
        Unprocessable: fields have wrong types, or are missing or out of range.
    """
    check_values(fields)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise Unprocessable([_problem(each) for each in found[:MOST_PROBLEMS]]) from None


def error_body(error: BridgeError, _: str) -> ValidationAnswer | FailureAnswer:
    """The JSON of an error."""
    if not _is_of_fields(error):
        # programs know by these very words that an address does not exist
        detail = "Not Found" if isinstance(error, NotFound) else error.message
        return {"error": error.type, "detail": detail, "body": "", "errors": error.message}
    problems = error.problems if isinstance(error, Unprocessable) else [_problem_of(error)]
    return {
        "detail": [
            {"loc": [each.place, *_places(each.field)], "msg": each.message, "type": each.type} for each in problems
        ]
    }


@blueprint.after_request
def _tell_of_fields(response: Response) -> Response:
    """Give errors of fields that were found further down the status of those found here."""
    if response.status_code == InvalidRequest.status and _is_of_fields(g.get("error")):
        response.status_code = UNPROCESSABLE
    return response


def _problem_of(error: BridgeError) -> Problem:
    """What is wrong with the field that sets the parameter which an error is about, under the field's name."""
    parameter = error.field or ""
    template: Template | None = g.get(TEMPLATE)
    renamed = {} if template is None else {name: field for field, name in rules_of(template).rename.items()}
    field = renamed.get(parameter) or FIELDS.get(parameter, parameter)
    is_named = error.message.startswith(f"{parameter} is ")
    return Problem(field, field + error.message.removeprefix(parameter) if is_named else error.message)


def _places(field: str) -> list[str | int]:
    """The names and indexes that lead to a field."""
    return [int(each) if each.isdigit() else each for each in field.split(".") if each]


def _is_of_fields(error: BridgeError | None) -> bool:
    return isinstance(error, InvalidRequest) and not isinstance(error, (InvalidWorkflow, UnknownChoice))


def _problem(error: Any) -> Problem:
    return Problem(".".join(map(str, error["loc"])), str(error["msg"]), error["type"])
