"""Makes the OpenAPI document from the routes, the descriptions beside their views, and the types in them.

pydantic makes the schemas from the models that validate requests and from the types that mypy checks answers against.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from comfybridge.web.current import EXTENSION, JOBS
from comfybridge.web.describing import BYTES, Answer, EventTypes, Operation, Variable, operation_of, readable_path
from comfybridge.web.dialects.dialect import EXTENSION as DIALECTS
from comfybridge.web.dialects.dialect import Dialect, Dialects
from comfybridge.web.marks import Marks, marks_of

REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = """\
One blocking HTTP request to ComfyUI, answered with the picture.

Errors have one shape, whatever the status. The APIs of other programs have the errors of those programs.
"""
REQUEST_ID = "the caller's own, if it has up to 64 letters, digits and ._:-, otherwise generated; the log has it too"
HOOK_HEADERS = {
    "webhook-id": "the same at each try",
    "webhook-timestamp": "when it is sent, in seconds since 1970",
    "webhook-signature": "signatures by the secrets of the job's key, if there are any",
}
RETRY_AFTER = "seconds after which a retry makes sense"


def document(app: Flask) -> dict[str, Any]:
    """The document of an application, as JSON."""
    described = list(described_routes(app))
    dialects: Dialects = app.extensions[DIALECTS]
    needs_key = bool(app.extensions[EXTENSION].settings.api_keys)
    types = _Types(each for route in described for each in _types_of(route))
    paths: dict[str, PathItem] = {}
    for route in described:
        path = paths.setdefault(readable_path(route.rule.rule, "{{{}}}".format), PathItem())
        for method in sorted((route.rule.methods or set()) - {"HEAD", "OPTIONS"}):
            documented = _operation(route, types)
            if needs_key and not route.marks.needs_key:
                documented.security = []
            elif needs_key and route.dialect.key_places != dialects.own.key_places:
                documented.security = [{place.name: []} for place in route.dialect.key_places]
            setattr(path, method.lower(), documented)
    made = OpenAPI(
        openapi="3.1.0",
        info=Info(title="ComfyBridge", version=__version__, description=DESCRIPTION),
        tags=[Tag(name=name) for name in dict.fromkeys(route.operation.tag for route in described)],
        paths=paths,
        components=Components(schemas=types.components),
    )
    hooks = {name: type_ for route in described for name, type_ in route.operation.hooks.items()}
    if hooks:
        made.webhooks = {name: PathItem(post=_hook(name, type_, types)) for name, type_ in hooks.items()}
    if needs_key and made.components is not None:  # the page then asks for it
        made.components.securitySchemes = {
            place.name: SecurityScheme.model_validate(place.scheme)
            for dialect in dialects.all
            for place in dialect.key_places
        }
        made.security = [{place.name: []} for place in dialects.own.key_places]
    return made.model_dump(mode="json", by_alias=True, exclude_unset=True)


@dataclass(frozen=True)
class Route:
    """A route whose view is described.

    Attributes:
        dialect: the dialect of its errors.
        is_own: whether that is the bridge's own.
    """

    rule: Rule
    view: Any
    operation: Operation
    dialect: Dialect
    is_own: bool

    @property
    def marks(self) -> Marks:
        """The marks of its view."""
        return marks_of(self.view)


def described_routes(app: Flask) -> Iterable[Route]:
    """The routes whose views are described."""
    dialects: Dialects = app.extensions[DIALECTS]
    has_jobs = app.extensions[JOBS] is not None
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        operation = operation_of(view)
        if operation is not None:
            dialect = dialects.of(rule.endpoint.rpartition(".")[0])
            operation = operation if has_jobs else operation.without_jobs()
            yield Route(rule, view, operation, dialect, dialect is dialects.own)


# -- schemas -------------------------------------------------------------------------------------------------------


class _Schemas(GenerateJsonSchema):
    """pydantic's schemas, without `"default": null`, which only means that a field may be missing."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class _Types:
    """The schemas of all types of the document; named ones are placed once under `components`."""

    def __init__(self, types: Iterable[tuple[Any, JsonSchemaMode]]) -> None:
        inputs = [(key, mode, TypeAdapter(type_)) for (key, mode), type_ in _keyed(types).items()]
        self._schemas, rest = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE, schema_generator=_Schemas)
        self.components = {name: Schema.model_validate(each) for name, each in rest.get("$defs", {}).items()}

    def of(self, type_: Any, mode: JsonSchemaMode) -> Schema:
        if type_ == BYTES:
            return Schema.model_validate({"type": "string", "format": "binary"})
        if isinstance(type_, EventTypes):
            return Schema.model_validate(
                {"description": _of_events(type_)}
            )  # of the text, or of each event: tools differ
        return Schema.model_validate(self._schemas[_key(type_), mode])


def _keyed(types: Iterable[tuple[Any, JsonSchemaMode]]) -> dict[tuple[str, JsonSchemaMode], Any]:
    """The types by their keys, each once; a stream is replaced by the types of its events."""
    keyed = {}
    for content, mode in types:
        for type_ in content.types.values() if isinstance(content, EventTypes) else [content]:
            if type_ != BYTES:
                keyed[_key(type_), mode] = type_
    return keyed


def _key(type_: Any) -> str:
    return repr(type_)


def _of_events(content: EventTypes) -> str:
    lines = [f"- `{name}`: {type_.__name__}" for name, type_ in content.types.items()]
    return (
        "Server-sent events; the data of each is JSON of one of the schemas below.\n\n"
        + "\n".join(lines)
        + f"\n\n{content.says}"
    )


def _types_of(route: Route) -> Iterable[tuple[Any, JsonSchemaMode]]:
    operation = route.operation
    yield route.dialect.errors.type, "serialization"
    for answer in operation.answers.values():
        yield from ((each, "serialization") for each in answer.content.values())
    yield from ((each, "serialization") for each in operation.hooks.values())
    yield from ((each, "validation") for each in operation.body.values())
    variables = (*operation.path.values(), *operation.query.values(), *operation.headers.values())
    yield from ((each.type, "validation") for each in variables)


# -- operations ----------------------------------------------------------------------------------------------------


def _operation(route: Route, types: _Types) -> DocumentedOperation:
    view, operation = route.view, route.operation
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
        summary=" ".join(summary.replace("`", "").split()).rstrip("."),  # it is shown unchanged
        operationId=view.__name__ if route.is_own else f"{route.dialect.name}_{view.__name__}",
        responses={**answers, **_errors(route, types)},
        **said,
    )


def _hook(name: str, type_: Any, types: _Types) -> DocumentedOperation:
    """What a webhook sends, and what is expected of its receiver."""
    headers = {each: Variable(means, is_optional=each == "webhook-signature") for each, means in HOOK_HEADERS.items()}
    summary, _, rest = str(inspect.getdoc(type_)).partition("\n\n")
    return DocumentedOperation(
        summary=summary.rstrip("."),
        description=" ".join(rest.split()),
        operationId=name,
        parameters=[_parameter(ParameterLocation.HEADER, *each, types) for each in headers.items()],
        requestBody=RequestBody(content=_content({"application/json": type_}, "serialization", types), required=True),
        responses={
            "2XX": Response(description="It has arrived."),
            "410": Response(description="No more tries are wanted."),
            "default": Response(description="It is tried again later."),
        },
        security=[],
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


def _errors(route: Route, types: _Types) -> dict[str, Response]:
    """An answer for each status, which lists the types of error that it may hold."""
    responses, errors, dialect = {}, route.operation.errors(route.marks), route.dialect
    shape = dialect.errors
    sorted_errors = sorted(set(errors), key=lambda each: (shape.status(each), shape.code(each), each.type))
    for status, group in groupby(sorted_errors, shape.status):
        lines = [f"- `{shape.code(each)}`: {inspect.getdoc(each)}" for each in group]
        headers = {"X-Request-Id": _header(REQUEST_ID, "string")}
        if status == 401:
            challenges = [place.challenge for place in dialect.key_places if place.challenge]
            headers["WWW-Authenticate"] = _header(", ".join(challenges), "string")
        if status in (429, 503):
            headers["Retry-After"] = _header(RETRY_AFTER, "integer")
        responses[str(status)] = Response(
            description=f"{HTTPStatus(status).phrase}\n\n" + "\n".join(lines),
            content=_content({"application/json": dialect.errors.type}, "serialization", types),
            headers=headers,
        )
    return responses


def _header(means: str, type_: str) -> Header | Reference:
    return Header(description=means, schema=Schema.model_validate({"type": type_}))
