"""The OpenAPI document: the routes of the application, what their views say of themselves, and the types behind it.

The schemas are pydantic's, of the models that validate requests and of the types that answers are checked against.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import groupby
from typing import Any

from flask import Flask
from openapi_pydantic import (
    Components,
    Example,
    Header,
    Info,
    MediaType,
    OpenAPI,
    Parameter,
    ParameterLocation,
    PathItem,
    Reference,
    RequestBody,
    Response,
    Schema,
    SecurityScheme,
    Tag,
)
from openapi_pydantic import Operation as DocumentedOperation
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema
from werkzeug.routing import Rule

from comfybridge import __version__
from comfybridge.errors import BridgeError
from comfybridge.web.current import EXTENSION
from comfybridge.web.describing import BYTES, EVENTS, Answer, Operation, Variable, operation_of, readable_path
from comfybridge.web.dialects.native.bodies import (
    ErrorAnswer,
    GenerationAnswer,
    PreviewEvent,
    ProgressEvent,
    QueuedEvent,
)

REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = """\
One blocking HTTP request to ComfyUI, answered with the picture.

Errors have one shape, whatever the status.
"""
REQUEST_ID = "the caller's own, if it sent one of up to 64 letters, digits and ._:-, or made up; the log has it too"
# How a caller sends its key, where keys are set; the page asks for it then.
SECURITY: dict[str, SecurityScheme | Reference] = {
    "bearer": SecurityScheme(type="http", scheme="bearer", description="the API key"),
    "header": SecurityScheme.model_validate(
        {"type": "apiKey", "name": "X-API-Key", "in": "header", "description": "the same, in another header"}
    ),
}
RETRY_AFTER = "seconds after which another try makes sense"
# What the events of a stream hold, in the order in which they come.
EVENT_TYPES = {
    "queued": QueuedEvent,
    "progress": ProgressEvent,
    "preview": PreviewEvent,
    "result": GenerationAnswer,
    "error": ErrorAnswer,
}
STREAM = (
    "Server-sent events; the data of each is JSON of one of the schemas below.\n\n"
    + "\n".join(f"- `{name}`: {type_.__name__}" for name, type_ in EVENT_TYPES.items())
    + "\n\n`result` or `error` is the last one. A line that begins with a colon keeps an idle stream open."
)
OTHER_CONTENTS = {
    BYTES: {"type": "string", "format": "binary"},
    EVENTS: {"type": "string", "description": STREAM},
}


def document(app: Flask) -> dict[str, Any]:
    """The document of an application, as JSON."""
    described = list(described_routes(app))
    needs_key = bool(app.extensions[EXTENSION].settings.api_keys)
    types = _Types(each for _, _, operation in described for each in _types_of(operation))
    paths: dict[str, PathItem] = {}
    for rule, view, operation in described:
        path = paths.setdefault(readable_path(rule.rule, "{{{}}}".format), PathItem())
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            documented = _operation(view, operation, types)
            if needs_key and operation.is_open:
                documented.security = []
            setattr(path, method.lower(), documented)
    made = OpenAPI(
        openapi="3.1.0",
        info=Info(title="ComfyBridge", version=__version__, description=DESCRIPTION),
        tags=[Tag(name=name) for name in dict.fromkeys(operation.tag for _, _, operation in described)],
        paths=paths,
        components=Components(schemas=types.components),
    )
    if needs_key and made.components is not None:
        made.components.securitySchemes = SECURITY
        made.security = [{name: []} for name in SECURITY]
    return made.model_dump(mode="json", by_alias=True, exclude_unset=True)


def described_routes(app: Flask) -> Iterable[tuple[Rule, Any, Operation]]:
    """The routes whose views are described, with these views."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        operation = operation_of(view)
        if operation is not None:
            yield rule, view, operation


# -- schemas -------------------------------------------------------------------------------------------------------


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas, but that a field which is not given is nothing: `"default": null` says no more."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class _Types:
    """The schemas of all types of the document, each with a name made once under `components`."""

    def __init__(self, types: Iterable[tuple[Any, JsonSchemaMode]]) -> None:
        inputs = [(key, mode, TypeAdapter(type_)) for (key, mode), type_ in _keyed(types).items()]
        self._schemas, rest = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE, schema_generator=_Schemas)
        self.components = {name: Schema.model_validate(each) for name, each in rest.get("$defs", {}).items()}

    def of(self, type_: Any, mode: JsonSchemaMode) -> Schema:
        if isinstance(type_, str):
            return Schema.model_validate(OTHER_CONTENTS[type_])
        return Schema.model_validate(self._schemas[_key(type_), mode])


def _keyed(types: Iterable[tuple[Any, JsonSchemaMode]]) -> dict[tuple[str, JsonSchemaMode], Any]:
    return {(_key(type_), mode): type_ for type_, mode in types if not isinstance(type_, str)}


def _key(type_: Any) -> str:
    return repr(type_)


def _types_of(operation: Operation) -> Iterable[tuple[Any, JsonSchemaMode]]:
    yield from ((each, "serialization") for each in (ErrorAnswer, *EVENT_TYPES.values()))
    for answer in operation.answers.values():
        yield from ((each, "serialization") for each in answer.content.values())
    yield from ((each, "validation") for each in operation.body.values())
    variables = (*operation.path.values(), *operation.query.values(), *operation.headers.values())
    yield from ((each.type, "validation") for each in variables)


# -- operations ----------------------------------------------------------------------------------------------------


def _operation(view: Any, operation: Operation, types: _Types) -> DocumentedOperation:
    summary, _, rest = inspect.getdoc(view).partition("\n\n")  # type: ignore[union-attr]  # each view has one
    said: dict[str, Any] = {"description": " ".join(rest.split())} if rest else {}
    parameters = [
        *(_parameter(ParameterLocation.PATH, *each, types) for each in operation.path.items()),
        *(_parameter(ParameterLocation.QUERY, *each, types) for each in operation.query.items()),
        *(_parameter(ParameterLocation.HEADER, *each, types) for each in operation.headers.items()),
    ]
    if parameters:
        said["parameters"] = parameters
    if operation.body:
        content = _content(operation.body, "validation", types)
        for media_type, examples in operation.examples.items():
            content[media_type].examples = {
                name: Example(summary=name, value=value) for name, value in examples.items()
            }
        said["requestBody"] = RequestBody(content=content, required=True)
    answers = {str(status): _answer(each, types) for status, each in operation.answers.items()}
    return DocumentedOperation(
        tags=[operation.tag],
        summary=" ".join(summary.replace("`", "").split()).rstrip("."),  # it is shown as it is
        operationId=view.__name__,
        responses={**answers, **_errors(operation.errors, types)},
        **said,
    )


def _parameter(where: ParameterLocation, name: str, variable: Variable, types: _Types) -> Parameter:
    schema = types.of(variable.type, "validation").model_copy()
    if variable.default is not None:
        schema.default = variable.default
    is_required = variable.default is None and not variable.is_optional
    said = {"name": name, "in": where, "required": is_required, "description": variable.means}
    return Parameter.model_validate({**said, "schema": schema})


def _answer(answer: Answer, types: _Types) -> Response:
    content = _content(answer.content, "serialization", types)
    headers = {
        name: _header(means, "string") for name, means in [*answer.headers.items(), ("X-Request-Id", REQUEST_ID)]
    }
    return Response(description=answer.says, content=content, headers=headers)


def _content(content: Mapping[str, Any], mode: JsonSchemaMode, types: _Types) -> dict[str, MediaType]:
    return {media_type: MediaType(schema=types.of(type_, mode)) for media_type, type_ in content.items()}


def _errors(errors: Iterable[type[BridgeError]], types: _Types) -> dict[str, Response]:
    """An answer for each status, which says what types of error it may hold."""
    responses = {}
    for status, group in groupby(sorted(set(errors), key=lambda each: (each.status, each.type)), lambda e: e.status):
        lines = [f"- `{each.type}`: {inspect.getdoc(each)}" for each in group]
        headers = {"X-Request-Id": _header(REQUEST_ID, "string")}
        if status == 401:
            headers["WWW-Authenticate"] = _header("Bearer", "string")
        if status in (429, 503):
            headers["Retry-After"] = _header(RETRY_AFTER, "integer")
        responses[str(status)] = Response(
            description=f"{HTTPStatus(status).phrase}\n\n" + "\n".join(lines),
            content=_content({"application/json": ErrorAnswer}, "serialization", types),
            headers=headers,
        )
    return responses


def _header(means: str, type_: str) -> Header | Reference:
    return Header(description=means, schema=Schema.model_validate({"type": type_}))
