"""What the web pages in a browser may do with the bridge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.web.answers import failure, success
from tests.web.keys import KEYS, PICTURE, SHOP

FOREIGN_PAGES = [
    {"Origin": "http://evil.example"},
    {"Origin": "https://localhost.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000"},  # another program on this machine
    {"Origin": "http://127.0.0.1"},
    {"Origin": "localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN_PAGES)
@pytest.mark.parametrize(("method", "path"), [("POST", "/generate"), ("POST", "/cancel/x"), ("GET", "/queue")])
def test_a_foreign_page_gets_nothing(
    api: FlaskClient, sim: Simulator, headers: dict[str, str], method: str, path: str
) -> None:
    response = api.open(path, method=method, json=PICTURE, headers=headers)
    said = failure(response, 403, "forbidden")["error"]
    assert "COMFYBRIDGE_CORS_ORIGINS" in said
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
    assert sim.history == {}


def test_a_foreign_page_gets_nothing_even_with_a_key(locked: FlaskClient) -> None:
    failure(locked.get("/queue", headers={**SHOP, "Origin": "http://evil.example"}), 403, "forbidden")


def test_a_foreign_page_is_told_so_before_it_asks(api: FlaskClient) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    failure(api.options("/generate", headers=headers), 403, "forbidden")


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("localhost", {"Origin": "http://localhost"}),
        ("127.0.0.1:8189", {"Origin": "http://127.0.0.1:8189", "Sec-Fetch-Site": "same-origin"}),
        ("[::1]:8189", {"Origin": "http://[::1]:8189"}),
        ("localhost", {"Origin": "https://localhost"}),  # behind a proxy with TLS
        ("localhost:443", {"Origin": "https://localhost"}),
        ("localhost", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}),
        ("localhost", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
    ],
)
def test_the_bridge_s_own_page_may_use_it(api: FlaskClient, host: str, headers: dict[str, str]) -> None:
    success(api.post("/generate", json=PICTURE, headers={"Host": host, **headers}))


def test_a_link_on_another_site_may_lead_to_the_bridge(api: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert api.get("/docs", headers=headers).status_code == 200
    assert api.head("/docs", headers=headers).status_code == 200
    failure(api.post("/generate", json=PICTURE, headers=headers), 403, "forbidden")


def test_the_docs_page_can_t_be_put_into_a_frame(api: FlaskClient) -> None:
    assert api.get("/docs").headers["X-Frame-Options"] == "DENY"


def test_cors_is_off_unless_set(api: FlaskClient) -> None:
    for headers in ({}, {"Origin": "http://localhost"}):
        response = api.get("/queue", headers=headers)
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        assert "Origin" not in response.headers.get("Vary", "")


APP = {"Origin": "https://app.example"}


@pytest.fixture
def invited(make_app: Callable[..., Flask]) -> FlaskClient:
    """A bridge that pages of two sites may use."""
    return make_app(cors_origins="https://App.example:443/, http://localhost:3000").test_client()


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost:3000"])
def test_pages_of_sites_that_are_set_may_use_the_bridge(invited: FlaskClient, origin: str) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    for response in (
        invited.post("/generate", json=PICTURE, headers=headers),
        invited.post("/generate", json={"steps": 0}, headers=headers),  # also for errors
        invited.get("/nowhere", headers=headers),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert "Origin" in response.headers["Vary"]
        exposed = response.headers["Access-Control-Expose-Headers"]
        for name in ("X-Prompt-Id", "X-Seed", "X-Request-Id", "Retry-After", "Content-Disposition", "Location"):
            assert name in exposed
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_pages_of_others_may_not_all_the_same(invited: FlaskClient) -> None:
    for origin in ("http://app.example", "https://app.example.evil.example", "https://evil.example", "null"):
        response = invited.post("/generate", json=PICTURE, headers={"Origin": origin})
        failure(response, 403, "forbidden")
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"]  # another's answer must not come from a cache


def test_answers_to_callers_that_are_no_page_vary_too(invited: FlaskClient) -> None:
    response = invited.get("/queue")
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(("path", "methods"), [("/generate", "POST"), ("/results/x", "GET, HEAD"), ("/health", None)])
def test_a_preflight_is_answered_without_a_key(
    make_app: Callable[..., Flask], path: str, methods: str | None
) -> None:
    api = make_app(cors_origins="https://app.example", api_keys=KEYS).test_client()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    response = api.options(path, headers={**APP, **asked})
    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    if methods is None:  # nothing is refused there
        return
    assert response.data == b""
    assert response.headers["Access-Control-Allow-Methods"] == methods
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "X-API-Key", "Content-Type", "Accept", "X-Request-Id", "Idempotency-Key", "Prefer"} <= {
        *allowed
    }
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    failure(api.post("/generate", json=PICTURE, headers=APP), 401, "unauthorized")
    success(api.post("/generate", json=PICTURE, headers={**APP, **SHOP}))


def test_a_preflight_for_nothing_is_not_found(invited: FlaskClient) -> None:
    response = invited.options("/nowhere", headers={**APP, "Access-Control-Request-Method": "GET"})
    failure(response, 404, "not_found")


def test_all_pages_may_be_invited(make_app: Callable[..., Flask]) -> None:
    api = make_app(cors_origins="*").test_client()
    for origin in ("https://evil.example", "null"):
        response = api.post("/generate", json=PICTURE, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
        success(response)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    # but under none of their own names
    failure(api.get("/queue", headers={"Origin": "http://x", "Host": "evil.example"}), 403, "forbidden")
