"""`GET /openapi.json` and `GET /docs`: the document of this interface, and a page to read and try it.

None of this needs a key: a browser that opens the page cannot send one yet, and nothing in it is secret.

The page's scripts come from the package `offapi`, which carries Swagger UI's files, so that it loads without a
network. The package is only located, not imported: importing it reads all its files into memory.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from comfybridge.errors import NotFound
from comfybridge.web.answers.browser_rules import page_headers
from comfybridge.web.marks import marked

blueprint = Blueprint("docs", __name__)
front = Blueprint("front", __name__)  # for a bridge without the page that is there otherwise

OWN = Path(__file__).parent
FILES = {
    "swagger.css": ("swagger_style.css", "text/css"),
    "swagger.js": ("swagger_bundle.js", "text/javascript"),
}
SCRIPT = "docs.js"
PAGE = "docs.html"  # its URLs are relative, so that it works behind a proxy that adds a path prefix


@blueprint.get("/openapi.json")
@marked(needs_key=False)
def openapi() -> Response:
    """This interface as an OpenAPI 3.1 document, made once."""
    # its import takes 0.1 s, so it is done only when needed
    from comfybridge.web.document.openapi import document

    made: dict[str, Any] | None = current_app.extensions.get("comfybridge.openapi")
    if made is None:
        made = current_app.extensions["comfybridge.openapi"] = document(current_app)
    return jsonify(made)


@blueprint.get("/docs")
@marked(needs_key=False)
def docs() -> Response:
    """A page that shows the document."""
    return _with_rules(send_from_directory(OWN, PAGE, mimetype="text/html", max_age=0))


@front.get("/")
@marked(needs_key=False)
def root() -> BaseResponse:
    """The page, for people who open the bridge's address in a browser."""
    return redirect("docs")  # relative, as above


@blueprint.get("/docs/")
@marked(needs_key=False)
def docs_with_a_slash() -> BaseResponse:
    """A redirect to the page without the slash, with which its relative URLs would be wrong."""
    return redirect("../docs")


@blueprint.get("/docs/<name>")
@marked(needs_key=False)
def docs_file(name: str) -> Response:
    """A file of that page."""
    if name == SCRIPT:
        return _with_rules(send_from_directory(OWN, SCRIPT, mimetype="text/javascript", max_age=0))
    if name not in FILES:
        raise NotFound(f"The docs page has no file {name[:100]!r}; it has {', '.join((*FILES, SCRIPT))}.")
    filename, media_type = FILES[name]
    return _with_rules(send_from_directory(_folder(), filename, mimetype=media_type, max_age=24 * 3600))


def _with_rules(response: Response) -> Response:
    # the page shows no output files, so it needs no address of links
    response.headers.update(page_headers(inline_styles=True))
    return response


@cache
def _folder() -> Path:
    spec = find_spec("offapi")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
