"""Calls of OpenAI's Images API, and what their answers must have."""

from __future__ import annotations

import io
from typing import Any

from werkzeug.test import TestResponse

from tests.web.answers import LEAKS

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"
SMALL = {"prompt": "a cat", "size": "64x64", "steps": 2}


def pictures(response: TestResponse) -> dict[str, Any]:
    """The body of an answer with pictures."""
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    assert body["comfybridge"]["prompt_id"] == response.headers["X-Prompt-Id"]
    return body


def refused(response: TestResponse, status: int, code: str, param: str | None = None) -> str:
    """The message of an error."""
    assert response.status_code == status, response.text
    error = response.get_json()["error"]
    assert (error["code"], error["param"]) == (code, param), error
    assert list(error) == ["message", "type", "param", "code"]
    assert not LEAKS.search(response.text)
    assert response.headers["X-Request-Id"]
    message: str = error["message"]
    return message


def form(**fields: Any) -> dict[str, Any]:
    """A form, in which bytes are files."""
    return {
        name.replace("__", "[]"): (io.BytesIO(value), "upload", "application/octet-stream")
        if isinstance(value, bytes)
        else value
        for name, value in {"prompt": "a cat", **fields}.items()
    }
