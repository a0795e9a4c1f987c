"""Reads a request as `multipart/form-data`: files, and the fields of the JSON body beside them.

The fields are JSON in a part named `request`, or each in a part of its own (`fields.py`): `-F seed=5`, `-F
output.format=webp`. A file's part has the name that the graph mentions; a file in `workflow` or `prompt` is the
graph, as JSON or as a picture that ComfyUI made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Request

from comfybridge.errors import InvalidRequest
from comfybridge.media import embedded_graph, file_extension
from comfybridge.request import InputFile
from comfybridge.web.dialects.native.envelopes import OF_GRAPHS
from comfybridge.web.dialects.native.fields import MOST_FIELDS, REQUEST, fields_of, json_fields
from comfybridge.web.dialects.native.schemas import GenerateBody
from comfybridge.web.parsing.body import parse_json
from comfybridge.web.parsing.multipart import read_parts, too_much


@dataclass(frozen=True)
class Form:
    """A form that was sent.

    Attributes:
        fields: the fields, as in a JSON body.
        files: the files beside it.
    """

    fields: dict[str, Any]
    files: list[InputFile]


def read_form(request: Request, most_json: int, most_files: int, model: type[GenerateBody] = GenerateBody) -> Form:
    """Read the whole form.

    Args:
        most_json: how many bytes a part that is not a file may have.
        most_files: how many bytes the files may have together; the whole body may have as many as both.
        model: the model of the body, which has the fields.

    Raises:
        TooLarge: it exceeds a limit.
        InvalidRequest: it is malformed, or contains a field twice, or one that can't be read.
    """
    parts = read_parts(request, most_text=most_json, most_files=most_files, most_parts=MOST_FIELDS)
    if not parts.texts and not parts.files:
        raise InvalidRequest("The form is empty; it must have the fields of a request, such as prompt.")
    given: list[dict[str, Any]] = []
    inputs = []
    for file in parts.files:
        if file.name == REQUEST:
            if len(file.data) > most_json:
                raise too_much(most_json, MOST_FIELDS)
            given.append(json_fields(file.data))
        elif file.name in OF_GRAPHS:
            given.append({file.name: graph_in(file.data, f"The file in {file.name}")})
        else:
            inputs.append(InputFile(file.name, file.data))
    return Form(fields_of(parts.texts, given, model), inputs)


def graph_in(data: bytes, what: str) -> object:
    """The graph in a file: JSON, or a picture or video that ComfyUI made.

    Args:
        what: the file, as a sentence begins with it.

    Raises:
        InvalidRequest: it has none, or can't be read.
    """
    if file_extension(data) is None:
        return parse_json(data, what, wanted="it must be a graph as JSON, or a picture that ComfyUI made")
    graph = embedded_graph(data)
    if graph is None:
        raise InvalidRequest(f"{what} contains no graph: ComfyUI did not make it, or its metadata was removed.")
    return graph
