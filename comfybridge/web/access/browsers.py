"""Decides what web pages may do with the bridge: nothing, unless they are its own or belong to an allowed site.

A browser sends requests for any open page, even to a bridge on the same machine, and names the page's site in
`Origin` and `Sec-Fetch-Site`. CORS alone would hide the answer from the page, but still run the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, request
from flask.globals import request_ctx

from comfybridge.errors import Forbidden
from comfybridge.settings import DEFAULT_PORTS, Settings

ANY = "*"
FOREIGN_SITES = ("cross-site", "same-site")  # same-site is another port of this machine, say
# The request headers that a page may send, and the answer headers that it may read, beyond the usual ones.
REQUEST_HEADERS = (
    "Accept, Authorization, Content-Type, Idempotency-Key, Prefer, Range, X-API-Key, X-Request-Id, "
    # what OpenAI's client adds in a browser
    "OpenAI-Organization, OpenAI-Project, X-Stainless-Arch, X-Stainless-Helper-Method, X-Stainless-Lang, "
    "X-Stainless-OS, X-Stainless-Package-Version, X-Stainless-Retry-Count, X-Stainless-Runtime, "
    "X-Stainless-Runtime-Version, X-Stainless-Timeout"
)
EXPOSED_HEADERS = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Preference-Applied, Retry-After, "
    "X-Comfy-Request-Id, X-Prompt-Id, X-Request-Id, X-Seed, X-Should-Retry, X-Warnings"
)
PREFLIGHT_SECONDS = 600


class Browsers:
    """Which pages are let in."""

    def __init__(self, settings: Settings) -> None:
        self._origins = frozenset(settings.cors_origins)

    def check(self, environ: Mapping[str, Any]) -> Response | None:
        """Refuse what a page may not do.

        Returns:
            The answer to a preflight request, which needs no key; else None.

        Raises:
            Forbidden: the page is foreign.
        """
        origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
        if origin is None and site is None:  # not a browser
            return None
        if self._is_invited(origin):
            return self._preflight(environ)
        if origin is not None and not _is_own(origin, environ):
            raise Forbidden(
                f"Pages of {origin[:200]} may not use this bridge; COMFYBRIDGE_CORS_ORIGINS names the sites whose "
                "pages may."
            )
        if site in FOREIGN_SITES and not _is_visit(environ):
            raise Forbidden(
                "Pages of other sites may not use this bridge; COMFYBRIDGE_CORS_ORIGINS names those whose pages may."
            )
        return None

    def tell(self, response: Response) -> None:
        """Let the pages of allowed sites read an answer."""
        if not self._origins:
            return
        response.vary.add("Origin")
        origin = request.environ.get("HTTP_ORIGIN")
        if origin is not None and self._is_invited(origin):
            response.headers["Access-Control-Allow-Origin"] = ANY if ANY in self._origins else origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS

    def _is_invited(self, origin: str | None) -> bool:
        return origin in self._origins or ANY in self._origins

    def _preflight(self, environ: Mapping[str, Any]) -> Response | None:
        if environ["REQUEST_METHOD"] != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return None
        adapter = request_ctx.url_adapter
        methods = [] if adapter is None else adapter.allowed_methods()
        if not methods:
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(set(methods) - {"OPTIONS"}))
        response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response


def _is_own(origin: str, environ: Mapping[str, Any]) -> bool:
    """Whether it is the bridge's own origin, by the name in `Host`; a proxy may have changed the scheme."""
    scheme, found, host = origin.lower().partition("://")
    called = environ.get("HTTP_HOST", "").lower()
    return bool(found) and host == called.removesuffix(DEFAULT_PORTS.get(scheme, ":"))


def _is_visit(environ: Mapping[str, Any]) -> bool:
    """Whether the request follows a link to the bridge, in a top-level window."""
    return (
        environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST", "document") == "document"
    )
