"""Reads a request as `application/x-www-form-urlencoded`, with the same fields as other forms but without files."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from flask import Request

from comfybridge.errors import InvalidRequest
from comfybridge.web.dialects.native.fields import MOST_FIELDS, fields_of
from comfybridge.web.dialects.native.schemas import GenerateBody
from comfybridge.web.parsing.charsets import decoded

MEDIA_TYPE = "application/x-www-form-urlencoded"  # curl -d claims this type for whatever it sends
WANTED = "its fields must be written as in prompt=a+cat&steps=20"
ESCAPED_BRACE = b"%7b"


def is_urlencoded(request: Request, raw: bytes) -> bool:
    """Whether a body is such a form, and not JSON with the wrong type."""
    return request.mimetype == MEDIA_TYPE and b"=" in raw and raw.lstrip()[:1] not in b'{["' and not _is_escaped(raw)


def read_urlencoded(raw: bytes, charset: str | None, model: type[GenerateBody] = GenerateBody) -> dict[str, Any]:
    """The fields, as in a JSON body.

    Args:
        charset: from `charsets.charset_of`.
        model: the model of the body, which has the fields.

    Raises:
        InvalidRequest: it has too many fields, one twice, or one that can't be read.
    """
    text = decoded(raw, charset, "The form", WANTED)
    try:
        pairs = parse_qsl(
            text.strip(),
            keep_blank_values=True,
            encoding=charset or "utf-8",
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except UnicodeError:
        raise InvalidRequest(
            f"The form holds an escape such as %FC that is not {(charset or 'UTF-8').upper()}; {WANTED}."
        ) from None
    except ValueError:
        raise InvalidRequest(f"The form has more than {MOST_FIELDS} fields.") from None
    return fields_of(pairs, model=model)


def unescaped(request: Request, raw: bytes) -> bytes:
    """JSON that was escaped, as by `curl --data-urlencode`, in its original form; any other body unchanged."""
    if request.mimetype != MEDIA_TYPE or not _is_escaped(raw):
        return raw
    return unquote_plus(raw.decode("latin-1").removesuffix("="), "latin-1").encode("latin-1")


def _is_escaped(raw: bytes) -> bool:
    return raw.lstrip()[: len(ESCAPED_BRACE)].lower() == ESCAPED_BRACE
