"""A request as `multipart/form-data`: files as they are, and the fields of the JSON body beside them.

The fields stand as JSON in a part named `request`, or each in a part of its own (`fields.py`): `-F seed=5`, `-F
output.format=webp`. A file's part has the name that the graph mentions; a file in `workflow` or `prompt` is the
graph, as JSON or as a picture that ComfyUI made.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from comfybridge.errors import InvalidRequest, TooLarge
from comfybridge.media import embedded_graph, file_extension
from comfybridge.request import InputFile
from comfybridge.web.dialects.native.envelopes import OF_GRAPHS
from comfybridge.web.dialects.native.fields import MOST_FIELDS, REQUEST, fields_of, json_fields
from comfybridge.web.parsing.body import parse_json
from comfybridge.web.parsing.body_stream import CHUNK, BodyStream

MEDIA_TYPE = "multipart/form-data"


@dataclass(frozen=True)
class Form:
    """A form that was sent.

    Attributes:
        fields: what a JSON body would have held.
        files: the files beside it.
    """

    fields: dict[str, Any]
    files: list[InputFile]


def is_multipart(request: Request) -> bool:
    """Whether a request brings a form with files."""
    return request.mimetype == MEDIA_TYPE


def read_form(request: Request, most_json: int, most_files: int) -> Form:
    """Read the whole form.

    Args:
        most_json: how many bytes a part that is no file may have.
        most_files: how many bytes the files may have together; the whole body may have as many as both.

    Raises:
        TooLarge: it has more of anything than it may have.
        InvalidRequest: it is malformed, or holds a field twice, or one that can't be read.
    """
    texts, files = _parts(request, most_json, most_json + most_files)
    sent = [file for _, file in files.items(multi=True) if file.filename or _data(file)]
    if not texts and not sent:
        raise InvalidRequest("The form is empty; it must have the fields of a request, such as prompt.")
    given: list[dict[str, Any]] = []
    inputs = []
    for file in sent:
        name, data = file.name or "", _data(file)
        if name == REQUEST:
            if len(data) > most_json:
                raise _too_much(most_json)
            given.append(json_fields(data))
        elif name in OF_GRAPHS:
            given.append({name: _graph(name, data)})
        else:
            inputs.append(InputFile(name, data))
    # a name is None where the part has none
    return Form(fields_of(((name or "", text) for name, text in texts.items(multi=True)), given), inputs)


# -- its parts -----------------------------------------------------------------------------------------------------


def _parts(request: Request, most_text: int, most: int) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    stream = BodyStream(request, most, "one with files may have")
    try:
        parser = FormDataParser(
            stream_factory=_in_memory,
            max_form_memory_size=most_text + 4 * CHUNK,  # which werkzeug holds against its own buffer too
            max_form_parts=MOST_FIELDS,
            silent=False,
        )
        _, texts, files = parser.parse(stream, MEDIA_TYPE, None, dict(request.mimetype_params))  # type: ignore[arg-type]
    except RequestEntityTooLarge:
        stream.discard()
        raise _too_much(most_text) from None
    except ValueError:
        stream.discard()
        raise InvalidRequest(
            "The body is no well-formed multipart/form-data: its parts, or the boundary between them, can't be read."
        ) from None
    if sum(len(text.encode()) for _, text in texts.items(multi=True)) > most_text:
        raise _too_much(most_text)
    return texts, files


def _too_much(most_text: int) -> TooLarge:
    return TooLarge(
        f"The form has more than {MOST_FIELDS} parts, or more than {most_text} bytes in those that are no files."
    )


def _in_memory(
    total_content_length: int | None,
    content_type: str | None,
    filename: str | None,
    content_length: int | None = None,
) -> IO[bytes]:
    """Where a file's bytes go: they are needed as a whole, so a temporary file would only be one copy more."""
    return io.BytesIO()


def _data(file: FileStorage) -> bytes:
    file.stream.seek(0)
    data: bytes = file.stream.read()
    return data


def _graph(name: str, data: bytes) -> object:
    """The graph in a file: JSON, or a picture that ComfyUI made."""
    if file_extension(data) is None:
        return parse_json(data, f"The file in {name}", "it must be a graph as JSON, or a picture that ComfyUI made")
    graph = embedded_graph(data)
    if graph is None:
        raise InvalidRequest(
            f"The picture in {name} carries no graph: ComfyUI did not make it, or somebody took its metadata away."
        )
    return graph
