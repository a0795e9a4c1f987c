"""What tests look for in answers."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

from PIL import Image
from werkzeug.test import TestResponse

# absolute paths, and signs of a traceback
LEAKS = re.compile(r"Traceback|\.py\b|/tmp/|/home/|/usr/|site-packages|[A-Za-z]:\\\\\\w+\\\\")


def image(data: str) -> Image.Image:
    """The picture in a base64 text."""
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    picture.load()
    return picture


def success(response: TestResponse) -> dict[str, Any]:
    """The body of an answer that must be one of success."""
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    assert body["status"] == "success"
    assert response.headers["X-Prompt-Id"] == body["prompt_id"]
    return body


def failure(response: TestResponse, status: int, type: str) -> dict[str, Any]:
    """The body of an answer that must be a certain error, of the one shape that errors have."""
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.get_json()
    assert (body["status"], body["type"]) == ("error", type), body
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert not LEAKS.search(response.text), response.text
    assert body["error"].endswith(".")
    assert "\n" not in body["error"]
    return body
