"""Reads the parts of a `multipart/form-data` body, within limits."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import IO

from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from comfybridge.errors import InvalidRequest, TooLarge
from comfybridge.web.parsing.body_stream import CHUNK, BodyStream

MEDIA_TYPE = "multipart/form-data"


@dataclass(frozen=True)
class FilePart:
    """A part that is a file.

    Attributes:
        name: of the part.
        filename: the sender's name for the file; empty if it has none.
    """

    name: str
    filename: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Parts:
    """The parts of a form, each kind in order of arrival.

    Attributes:
        texts: the name and the text of each part that is not a file; the name is empty if the part has none.
        files: the others, without the empty part that a browser sends if no file was chosen.
    """

    texts: list[tuple[str, str]]
    files: list[FilePart]


def is_multipart(request: Request) -> bool:
    """Whether a request brings a form with files."""
    return request.mimetype == MEDIA_TYPE


def read_parts(request: Request, *, most_text: int, most_files: int, most_parts: int) -> Parts:
    """Read the whole form.

    Args:
        most_text: how many bytes the parts that are not files may have together.
        most_files: how many bytes the files may have; the whole body may have as many as both.
        most_parts: how many parts there may be.

    Raises:
        TooLarge: it exceeds a limit.
        InvalidRequest: it is malformed.
    """
    stream = BodyStream(request, most_text + most_files, "one with files may have")
    try:
        parser = FormDataParser(
            stream_factory=_in_memory,
            max_form_memory_size=most_text + 4 * CHUNK,  # a limit for werkzeug's buffer too
            max_form_parts=most_parts,
            silent=False,
        )
        _, texts, files = parser.parse(stream, MEDIA_TYPE, None, dict(request.mimetype_params))  # type: ignore[arg-type]
    except RequestEntityTooLarge:
        stream.discard()
        raise too_much(most_text, most_parts) from None
    except ValueError:
        stream.discard()
        raise InvalidRequest(
            "The body is not well-formed multipart/form-data: its parts, or the boundary between them, can't be read."
        ) from None
    if sum(len(text.encode()) for _, text in texts.items(multi=True)) > most_text:
        raise too_much(most_text, most_parts)
    parts = [FilePart(file.name or "", file.filename or "", _data(file)) for _, file in files.items(multi=True)]
    # a name is None if the part has none
    return Parts(
        [(name or "", text) for name, text in texts.items(multi=True)],
        [part for part in parts if part.filename or part.data],
    )


def too_much(most_text: int, most_parts: int) -> TooLarge:
    """The error for a form that exceeds a limit."""
    return TooLarge(
        f"The form has more than {most_parts} parts, or more than {most_text} bytes in those that are not files."
    )


def _in_memory(
    total_content_length: int | None,
    content_type: str | None,
    filename: str | None,
    content_length: int | None = None,
) -> IO[bytes]:
    """The target for a file's bytes, in memory: all are needed at once, so a file would only be a copy."""
    return io.BytesIO()


def _data(file: FileStorage) -> bytes:
    file.stream.seek(0)
    data: bytes = file.stream.read()
    return data
