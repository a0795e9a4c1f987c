"""A multipart body with one file, which goes to a temporary file as it comes. Only the fields are held in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, cast

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from comfybridge.assets.received import Received
from comfybridge.errors import InvalidRequest, TooLarge
from comfybridge.web.parsing.body_stream import CHUNK, BodyStream
from comfybridge.web.parsing.multipart import MEDIA_TYPE, is_multipart

FILE = "file"
MOST_TEXT = 64 * 1024  # bytes of the fields, and of what is around them
MOST_PARTS = 100


@dataclass(frozen=True)
class Upload:
    """What a form brings.

    Attributes:
        fields: the text of each field, but for its file; the last one of a name.
    """

    fields: Mapping[str, str]
    file: Received


@contextlib.contextmanager
def upload_in(request: Request, most: int) -> Iterator[Upload]:
    """A form and its file, in whatever order they come. The file is deleted at the end.

    Args:
        most: how many bytes the file may have.

    Raises:
        InvalidRequest: the body is not a form, or has no file or more than one.
        TooLarge, UnsupportedMediaType, Busy: it cannot be taken.
    """
    with contextlib.ExitStack() as held:

        def begin(*_: object, **__: object) -> IO[bytes]:
            received = Received()
            held.callback(received.close)
            return cast(IO[bytes], received)  # of which the parser needs `write` and `seek`

        stream = BodyStream(request, most + MOST_TEXT, "an upload may have")
        if not is_multipart(request):
            stream.discard()
            raise InvalidRequest("The body must be multipart/form-data, with a file.")
        parser = FormDataParser(
            stream_factory=begin,
            max_form_memory_size=MOST_TEXT + 4 * CHUNK,  # a limit for werkzeug's buffer too
            max_form_parts=MOST_PARTS,
            silent=False,
        )
        parameters = dict(request.mimetype_params)
        try:
            _, texts, files = parser.parse(cast(IO[bytes], stream), MEDIA_TYPE, None, parameters)
        except RequestEntityTooLarge:
            stream.discard()
            raise TooLarge(f"The form has more than {MOST_PARTS} parts, or more than {MOST_TEXT} bytes.") from None
        except ValueError:
            stream.discard()
            raise InvalidRequest("The body is not well-formed multipart/form-data.") from None
        found = [file for name, file in files.items(multi=True) if name == FILE]
        if len(found) != 1:
            raise InvalidRequest(f"The form must have one part named {FILE}, with a filename, for the bytes.")
        if sum(len(text.encode()) for _, text in texts.items(multi=True)) > MOST_TEXT:
            raise TooLarge(f"The form has more than {MOST_TEXT} bytes beside its file.")
        received = cast(Received, found[0].stream)
        if received.size > most:
            raise stream.too_large()
        yield Upload({name: text for name, text in texts.items(multi=True) if name}, received)
