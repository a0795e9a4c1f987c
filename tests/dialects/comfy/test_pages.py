"""The pages of a site that may use the bridge can use all of the API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

PAGE = {"Origin": "http://app.example"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v2/jobs", {"GET", "HEAD", "POST"}),
        (f"/api/v2/assets/{'a' * 36}", {"GET", "HEAD", "DELETE"}),
        ("/api/v2/assets/from-hash", {"POST"}),
    ],
)
def test_pages_may_use_all_methods_of_a_path(make_app: Callable[..., Flask], path: str, methods: set[str]) -> None:
    api = make_app(cors_origins=["http://app.example"]).test_client()
    asked = {**PAGE, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "range"}
    answer = api.options(path, headers=asked)
    assert answer.status_code == 204
    assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == methods
    assert "Range" in answer.headers["Access-Control-Allow-Headers"].split(", ")


def test_pages_may_read_the_request_s_id(make_app: Callable[..., Flask]) -> None:
    api = make_app(cors_origins=["http://app.example"]).test_client()
    exposed = api.get("/api/v2/jobs", headers=PAGE).headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Comfy-Request-Id", "Retry-After", "ETag", "Content-Range"} <= set(exposed)
