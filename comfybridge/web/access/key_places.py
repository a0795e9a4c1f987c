"""The places for an API key in a request; each dialect names those that its callers use."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeyPlace:
    """A place for an API key.

    Attributes:
        name: what the document calls it.
        example: how a key looks there, for a sentence.
        find: returns the key in a WSGI environment; None if there is none.
        scheme: an OpenAPI security scheme.
        challenge: how `WWW-Authenticate` asks for it; empty if HTTP has no scheme for it.
    """

    name: str
    example: str
    find: Callable[[Mapping[str, Any]], str | None]
    scheme: Mapping[str, str]
    challenge: str = ""


def _bearer(environ: Mapping[str, Any]) -> str | None:
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    # another scheme is for a proxy
    return credentials.strip() if scheme.lower() == "bearer" else None


def _password(environ: Mapping[str, Any]) -> str | None:
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(credentials).decode().partition(":")
    except ValueError:
        return ""
    return password or name  # programs that ask for a name only


def _header(environ: Mapping[str, Any]) -> str | None:
    key = environ.get("HTTP_X_API_KEY")
    return None if key is None else key.strip()


BEARER = KeyPlace(
    "bearer",
    "Authorization: Bearer KEY",
    _bearer,
    {"type": "http", "scheme": "bearer", "description": "the API key"},
    "Bearer",
)
X_API_KEY = KeyPlace(
    "header",
    "X-API-Key: KEY",
    _header,
    {"type": "apiKey", "name": "X-API-Key", "in": "header", "description": "the same, in another header"},
)
BASIC = KeyPlace(
    "basic",
    "the password of Authorization: Basic",
    _password,
    {"type": "http", "scheme": "basic", "description": "the API key as the password, with any name"},
    'Basic realm="ComfyBridge"',
)
# The places for addresses outside the dialects, such as the metrics.
USUAL = (BEARER, X_API_KEY)
