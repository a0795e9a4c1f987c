"""What kind of answer a caller accepts, by its `Accept` header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flask import Request

from comfybridge.errors import NotAcceptable
from comfybridge.request import Kind

Form = Literal["json", "file", "zip", "events"]

ACCEPTED = "application/json, image/*, video/*, audio/*, application/zip and text/event-stream"
FORMS: dict[str, Form] = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "*": "json",
    "application/zip": "zip",
    "text/event-stream": "events",
}
FILE_KINDS: dict[str, Kind] = {"image": "image", "video": "video", "audio": "audio"}


@dataclass(frozen=True)
class Wanted:
    """The form of an answer.

    Attributes:
        form: JSON with everything in it, the bytes of one file, a zip of all files, or a stream of events.
        kind: for one file, what sort of file.
        media_type: for one file, the media type if the caller accepts that one only, such as `image/webp`.
    """

    form: Form
    kind: Kind = "image"
    media_type: str | None = None


def wanted_form(request: Request) -> Wanted:
    """The form that the caller likes best of those that there are; JSON if it does not say.

    Raises:
        NotAcceptable: it accepts none of them.
    """
    if not request.accept_mimetypes:
        return Wanted("json")
    for media_range, quality in request.accept_mimetypes:  # the best first
        found = _form_of(media_range.partition(";")[0].strip().lower()) if quality > 0 else None
        if found is not None:
            return found
    raise NotAcceptable(f"Accept is {request.headers['Accept'][:200]!r}; there are {ACCEPTED}.")


def _form_of(media_range: str) -> Wanted | None:
    if media_range in FORMS:
        return Wanted(FORMS[media_range])
    main, _, sub = media_range.partition("/")
    if main in FILE_KINDS and sub:
        return Wanted("file", FILE_KINDS[main], None if sub == "*" else media_range)
    return None
