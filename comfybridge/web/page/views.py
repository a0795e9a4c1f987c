"""`GET /`, the pages at `/workflows` and `/stats`, and `GET /page/HASH/PATH`, the files that they need.

None of this needs a key: a browser that opens a page cannot send one yet, and nothing in it is secret. What a page
shows it asks for like any other caller, with the key that its reader types in.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from comfybridge.errors import NotFound
from comfybridge.web.answers.browser_rules import page_headers
from comfybridge.web.marks import marked
from comfybridge.web.page.files import HTML, PageFile, page_files

blueprint = Blueprint("page", __name__)

KEPT_FOR_EVER = "public, max-age=31536000, immutable"
LONGEST_PATH = 200  # characters of a path that an error quotes


@blueprint.get("/")
@marked(needs_key=False, is_quiet=True)
def index() -> Response:
    """The page that makes pictures."""
    return _page("index.html")


@blueprint.get("/workflows", build_only=True)  # `visits.py` chooses it, in place of the JSON at the same address
@marked(needs_key=False, is_quiet=True)
def workflows() -> Response:
    """The page that shows the templates."""
    return _page("workflows.html")


@blueprint.get("/stats", build_only=True)
@marked(needs_key=False, is_quiet=True)
def stats() -> Response:
    """The page that shows the servers."""
    return _page("stats.html")


@blueprint.get("/page/<hash_of_all>/<path:path>")
@marked(needs_key=False, is_quiet=True)
def file(hash_of_all: str, path: str) -> Response:
    """A style or a script of the pages."""
    files = page_files()
    found = files.others.get(path) if hash_of_all == files.hash else None
    if found is None:
        raise NotFound(f"The page has no file at {request.path[:LONGEST_PATH]}; GET / names those that it has.")
    return _sent(found, KEPT_FOR_EVER)


def _page(name: str) -> Response:
    return _sent(page_files().pages[name], "no-cache")


def _sent(file: PageFile, kept: str) -> Response:
    is_compressed = file.compressed is not None and request.accept_encodings.quality("gzip") > 0
    body = file.compressed if is_compressed and file.compressed is not None else file.content
    headers = page_headers()
    response = Response(body, content_type=file.media_type, headers=headers)
    response.headers["Cache-Control"] = kept
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    if file.media_type == HTML:
        response.set_etag(f"{file.tag}-gzip" if is_compressed else file.tag)
        response.make_conditional(request)
    return response
