"""The page at `/`, `/workflows` and `/stats`: who gets it, its files, how long browsers keep them, and its rules."""

from __future__ import annotations

import gzip
import logging
import posixpath
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.web.page.comments import without_comments
from comfybridge.web.page.files import FOLDER, page_files
from comfybridge.web.page.modules import imported
from tests.web.answers import failure

# what browsers send when a person opens an address
BROWSERS = {
    "Chrome": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7",
    "Firefox": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Safari": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Firefox before 2024": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "lynx": "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01",
}
OTHERS = {
    "curl, requests, fetch": "*/*",
    "nothing": None,
    "axios": "application/json, text/plain, */*",
    "jQuery": "application/json, text/javascript, */*; q=0.01",
    "as much": "text/html, application/json",
    "less": "text/html;q=0.5, application/json",
    "any text": "text/*",
    "not at all": "text/html;q=0, */*",
    "an image": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
}
PAGES = ("/", "/workflows", "/stats")
CHROME = {"Accept": BROWSERS["Chrome"]}
MOST_TRANSFERRED = 100_000  # bytes, for the first page
FOREIGN = {"Origin": "http://evil.example"}


class References(HTMLParser):
    """The addresses in a page, and what a policy without inline content forbids in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.modules: list[str] = []
        self.forbidden: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value for name in ("src", "href") if (value := given.get(name))]
        if tag == "link" and given.get("rel") == "modulepreload":
            self.modules.append(given["href"] or "")
        self.forbidden += [name for name in given if name == "style" or name.startswith("on")]
        self._inside = tag
        if tag == "style":
            self.forbidden.append(tag)

    def handle_data(self, data: str) -> None:
        if self._inside == "script" and data.strip():
            self.forbidden.append("script")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def html(response: TestResponse) -> str:
    assert response.status_code == 200, response.text
    assert response.content_type == "text/html; charset=utf-8"
    return response.text


def policy_of(response: TestResponse) -> dict[str, list[str]]:
    rules = response.headers["Content-Security-Policy"].split("; ")
    return {name: sources for name, *sources in (rule.split() for rule in rules)}


# -- who gets it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", BROWSERS.values(), ids=BROWSERS.keys())
@pytest.mark.parametrize("path", PAGES)
def test_people_get_pages(api: FlaskClient, path: str, accept: str) -> None:
    assert "ComfyBridge" in html(api.get(path, headers={"Accept": accept}))


@pytest.mark.parametrize("accept", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize(("path", "field"), [("/workflows", "workflows"), ("/stats", "servers")])
def test_programs_get_json(api: FlaskClient, path: str, field: str, accept: str | None) -> None:
    response = api.get(path, headers={} if accept is None else {"Accept": accept})
    assert response.status_code == 200
    assert field in response.get_json()
    assert "Accept" in response.vary  # a cache must not hand the one on as the other
    assert "Accept" in api.get(path, headers=CHROME).vary


def test_each_address_has_its_own_page(api: FlaskClient) -> None:
    assert len({html(api.get(path, headers=CHROME)) for path in PAGES}) == len(PAGES)


def test_one_template_is_json_for_everybody(api: FlaskClient) -> None:
    assert api.get("/workflows/txt2img", headers=CHROME).get_json()["name"] == "txt2img"


@pytest.mark.parametrize("path", PAGES)
def test_pages_need_no_key_and_their_figures_do(locked: FlaskClient, path: str) -> None:
    html(locked.get(path, headers=CHROME))
    files = page_files()
    assert locked.get(f"/page/{files.hash}/{next(iter(files.others))}").status_code == 200
    if path != "/":
        failure(locked.get(path), 401, "unauthorized")
    failure(locked.get("/policy"), 401, "unauthorized")


@pytest.mark.parametrize("path", PAGES)
def test_the_rules_for_hosts_and_pages_hold_for_pages_too(api: FlaskClient, path: str) -> None:
    failure(api.get(path, headers={**CHROME, "Host": "evil.example"}), 403, "forbidden")
    failure(api.get(path, headers={**CHROME, **FOREIGN}), 403, "forbidden")
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    html(api.get(path, headers={**CHROME, **link}))
    frame = {**link, "Sec-Fetch-Dest": "iframe"}
    failure(api.get(path, headers={**CHROME, **frame}), 403, "forbidden")


def test_without_the_page_everything_is_json_and_the_front_leads_to_the_calls(make_app: Callable[..., Flask]) -> None:
    api = make_app(page=False).test_client()
    assert api.get("/", headers=CHROME).headers["Location"] == "docs"
    assert "workflows" in api.get("/workflows", headers=CHROME).get_json()
    assert "servers" in api.get("/stats", headers=CHROME).get_json()
    failure(api.get(f"/page/{page_files().hash}/styles/base.css"), 404, "not_found")


def test_an_unknown_address_does_not_name_the_page_twice(api: FlaskClient) -> None:
    said = failure(api.get("/nowhere", headers=CHROME), 404, "not_found")["error"]
    assert said.count("GET /workflows,") == 1
    assert "/page" not in said


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_pages_are_read_only(api: FlaskClient, method: str) -> None:
    failure(api.open("/workflows", method=method, headers=CHROME), 405, "method_not_allowed")


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_what_a_page_names_is_there(api: FlaskClient, path: str) -> None:
    """By addresses without a slash before them, which hold behind a proxy that puts a path in front of the bridge."""
    found = References(html(api.get(path, headers=CHROME)))
    files = [each for each in found.addresses if each.startswith("page/")]
    assert len(files) >= 2
    for address in files:
        assert api.get(f"/{address}").status_code == 200
    for address in set(found.addresses) - set(files):
        assert not re.match(r"/|[a-z]+://", address)
    assert "HASH" not in "".join(found.addresses)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_nothing_that_its_policy_forbids(api: FlaskClient, path: str) -> None:
    assert References(html(api.get(path, headers=CHROME))).forbidden == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_names_all_modules_that_its_script_needs(api: FlaskClient, path: str) -> None:
    """So that the browser need not read one to know of the next."""
    page = html(api.get(path, headers=CHROME))
    begin = f"page/{page_files().hash}/"
    mains = re.findall(rf'<script[^>]*src="{begin}([^"]+)"', page)
    needed, waiting = set(mains), list(mains)
    while waiting:
        path = waiting.pop()
        source = (FOLDER / path).read_text("utf-8")
        for statement in re.findall(r"^(?:import|export)\b[^;]*?[\"'](\.[^\"']+)[\"'];$", source, re.MULTILINE):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), statement))
            if target not in needed:
                needed.add(target)
                waiting.append(target)
    assert set(References(page).modules) == {begin + each for each in needed - set(mains)}


def test_scripts_import_what_is_there() -> None:
    files = page_files().others
    for path, file in files.items():
        if path.endswith(".js"):
            assert set(imported(path, file.content.decode())) <= files.keys(), path


@pytest.mark.parametrize("path", PAGES)
def test_files_are_kept_for_ever_and_pages_are_asked_for_again(api: FlaskClient, path: str) -> None:
    page = api.get(path, headers=CHROME)
    assert page.headers["Cache-Control"] == "no-cache"
    again = api.get(path, headers={**CHROME, "If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert api.get(path, headers={**CHROME, "If-None-Match": '"another"'}).status_code == 200
    (style, *_) = re.findall(r'href="(page/[^"]+css)"', page.text)
    assert api.get(f"/{style}").headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_pages_and_files_are_compressed_for_those_who_can_read_that(api: FlaskClient) -> None:
    page = html(api.get("/", headers=CHROME))
    for address in ["", *re.findall(r'"(page/[^"]+)"', page)]:
        plain = api.get(f"/{address}", headers=CHROME)
        packed = api.get(f"/{address}", headers={**CHROME, "Accept-Encoding": "gzip, deflate, br, zstd"})
        refused = api.get(f"/{address}", headers={**CHROME, "Accept-Encoding": "gzip;q=0, identity"})
        assert "Accept-Encoding" in plain.vary
        assert "Content-Encoding" not in plain.headers
        assert refused.data == plain.data
        if packed.headers.get("Content-Encoding") == "gzip":
            assert gzip.decompress(packed.data) == plain.data
            assert len(packed.data) < len(plain.data)
            assert address or packed.headers["ETag"] != plain.headers["ETag"]
        head = api.head(f"/{address}", headers=CHROME)
        assert (head.status_code, head.data, head.content_length) == (200, b"", len(plain.data))


def test_the_first_page_is_light(api: FlaskClient) -> None:
    asked = {**CHROME, "Accept-Encoding": "gzip"}
    page = api.get("/", headers=asked)
    addresses = set(re.findall(r'"(page/[^"]+)"', gzip.decompress(page.data).decode()))
    sizes = [len(page.data), *(len(api.get(f"/{each}", headers=asked).data) for each in addresses)]
    assert len(sizes) > 3
    assert sum(sizes) < MOST_TRANSFERRED


@pytest.mark.parametrize("path", ["styles/none.css", "index.html", "scripts/../styles/base.css", "..%2Fviews"])
def test_other_files_are_not_served(api: FlaskClient, path: str) -> None:
    failure(api.get(f"/page/{page_files().hash}/{path}"), 404, "not_found")


def test_files_of_another_version_are_not_mistaken_for_these(api: FlaskClient) -> None:
    said = failure(api.get("/page/0123456789abcdef/styles/base.css"), 404, "not_found")["error"]
    assert "The page has no file at /page/0123456789abcdef/styles/base.css" in said


# -- what browsers may do with it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/docs"])
def test_a_page_runs_the_bridge_s_own_scripts_only(api: FlaskClient, path: str) -> None:
    response = api.get(path, headers=CHROME)
    policy = policy_of(response)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == ["'none'"]
    assert policy["script-src"] == policy["connect-src"] == ["'self'"]
    assert policy["style-src"] == (["'self'", "'unsafe-inline'"] if path == "/docs" else ["'self'"])
    assert policy["img-src"] == policy["media-src"] == ["'self'", "data:", "blob:"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert References(response.text).forbidden == []


def test_a_public_address_of_links_lets_no_page_load_from_there(make_app: Callable[..., Flask]) -> None:
    api = make_app(public_url="https://pictures.example:8443/comfy").test_client()
    assert "pictures.example" not in api.get("/").headers["Content-Security-Policy"]


ANSWERS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}),
    ("GET", "/docs", {}),
    ("GET", "/docs/", {}),
    ("GET", "/docs/docs.js", {}),
    ("GET", "/docs/swagger.css", {}),
    ("GET", "/workflows", {}),
    ("GET", "/nowhere/<script>alert(1)</script>", {}),
    ("POST", "/generate", {"json": {"prompt": "<script>alert(1)</script>", "steps": "<b>"}}),
    ("GET", "/metrics", {}),
    ("GET", "/health", {}),
    ("GET", "/openapi.json", {}),
]


@pytest.mark.parametrize(("method", "path", "asked"), ANSWERS)
def test_no_answer_can_be_taken_for_something_else(
    api: FlaskClient, method: str, path: str, asked: dict[str, Any]
) -> None:
    response = api.open(path, method=method, headers=CHROME, **asked)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    if "html" in response.content_type or "xml" in response.content_type:
        policy = policy_of(response)
        assert policy["default-src"] == ["'none'"]
        assert policy.get("script-src", ["'self'"]) == ["'self'"]


# -- what is left out, and what is not told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/** A type.\n * @param {x} y\n */\nf();", "\n\n\nf();"),
        ("  // why\n  f(); // how\n", "\n  f(); // how\n"),
        ("/** @type {X} */ (x).y(); /* z */\ng();\n/* z */", "/** @type {X} */ (x).y(); /* z */\ng();\n"),
        ('const a = "http://x";\n', 'const a = "http://x";\n'),
    ],
)
def test_comments_on_lines_of_their_own_are_left_out(text: str, left: str) -> None:
    assert without_comments("x.js", text) == left


def test_no_text_of_a_script_is_taken_for_a_comment() -> None:
    """Before what is left out, a script has an even number of backticks: it does not lie in a template literal."""
    for path in FOLDER.rglob("*.js"):
        source = path.read_text("utf-8")
        code = without_comments(path.name, source).splitlines()
        inside = False
        for line, left in zip(source.splitlines(), code, strict=True):
            if line != left:
                assert not inside, f"{path.name}: {line}"
            else:
                inside ^= line.replace("\\`", "").count("`") % 2 == 1


def test_the_log_and_the_metrics_do_not_tell_of_pages(api: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "comfybridge.requests")
    page = html(api.get("/", headers=CHROME))
    for address in ("workflows", "stats", "policy", *re.findall(r'"(page/[^"]+)"', page)):
        assert api.get(f"/{address}", headers=CHROME).status_code == 200
    assert caplog.records == []
    assert "page." not in api.get("/metrics").text
    failure(api.get("/page/x/y"), 404, "not_found")
    assert len(caplog.records) == 1
