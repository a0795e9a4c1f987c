"""A request as `multipart/form-data`: files as they are, and the fields of the JSON body beside them.

The fields stand as JSON in a part named `request`, or each in a part of its own (`fields.py`): `-F seed=5`, `-F
output.format=webp`. A file's part has the name that the graph mentions; a file in `workflow` is the graph, as JSON or
as a picture that ComfyUI made.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from comfybridge.errors import InvalidRequest, TooLarge
from comfybridge.media import embedded_graph, file_extension
from comfybridge.request import InputFile
from comfybridge.sent_files import MOST_FILES
from comfybridge.web.body import MOST_DISCARDED, check_values, parse_json, read_some
from comfybridge.web.fields import add_field, set_once

CHUNK = 64 * 1024
MEDIA_TYPE = "multipart/form-data"
REQUEST = "request"
WORKFLOW = "workflow"
MOST_PARTS = 2 * MOST_FILES


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
    fields: dict[str, Any] = {}
    plain: list[tuple[str, str]] = []
    inputs = []
    for name, text in texts.items(multi=True):
        if name == REQUEST:
            if text.strip():  # a browser sends it although nobody filled it
                _merge(fields, _json_fields(text.encode()))
        else:
            plain.append((name or "", text))  # None where the part has no name
    for file in sent:
        name, data = file.name or "", _data(file)
        if name == REQUEST:
            if len(data) > most_json:
                raise _too_much(most_json)
            _merge(fields, _json_fields(data))
        elif name == WORKFLOW:
            _merge(fields, {WORKFLOW: _graph(data)})
        else:
            inputs.append(InputFile(name, data))
    for name, text in sorted(plain, key=lambda field: "." in field[0]):  # the whole before its parts
        add_field(fields, name, text)
    check_values(fields)
    return Form(fields, inputs)


def _merge(fields: dict[str, Any], given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        set_once(fields, name, value)


# -- its parts -----------------------------------------------------------------------------------------------------


def _parts(request: Request, most_text: int, most: int) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    stream = _Limited(request.stream, most)
    length = request.content_length
    try:
        if length is not None and length > most:
            raise stream.too_large()
        parser = FormDataParser(
            stream_factory=_in_memory,
            max_form_memory_size=most_text + 4 * CHUNK,  # which werkzeug holds against its own buffer too
            max_form_parts=MOST_PARTS,
            silent=False,
        )
        _, texts, files = parser.parse(stream, MEDIA_TYPE, length, dict(request.mimetype_params))  # type: ignore[arg-type]
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
        f"The form has more than {MOST_PARTS} parts, or more than {most_text} bytes in those that are no files."
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


class _Limited:
    """A stream that ends in an error where there is too much of it, after it has been read."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream = stream
        self._most = most
        self._size = 0

    def read(self, size: int = CHUNK) -> bytes:
        chunk = read_some(self._stream, size)
        self._size += len(chunk)
        if self._size > self._most:
            raise self.too_large()
        return chunk

    def too_large(self) -> TooLarge:
        self.discard()
        return TooLarge(f"The form has more than {self._most} bytes, the most that one with files may have.")

    def discard(self) -> None:
        """Read what is left: a client that is still sending does not see an answer."""
        left = self._most + MOST_DISCARDED
        while left > 0 and (chunk := read_some(self._stream, CHUNK)):
            left -= len(chunk)


# -- its fields ----------------------------------------------------------------------------------------------------


def _json_fields(raw: bytes) -> dict[str, Any]:
    fields = parse_json(raw, f"The form's part {REQUEST}")
    if not isinstance(fields, dict):
        raise InvalidRequest(f"The form's part {REQUEST} must be a JSON object.")
    return fields


def _graph(data: bytes) -> Any:
    """The graph in a file: JSON, or a picture that ComfyUI made."""
    if file_extension(data) is None:
        return parse_json(data, "The file in workflow", "it must be a graph as JSON, or a picture that ComfyUI made")
    graph = embedded_graph(data)
    if graph is None:
        raise InvalidRequest(
            "The picture in workflow carries no graph: ComfyUI did not make it, or somebody took its metadata away."
        )
    return graph
