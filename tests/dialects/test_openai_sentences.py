"""What OpenAI's API says of a prompt that is missing, empty or too long: a sentence for people."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "prompt is missing."),
        ({"prompt": ""}, "prompt must be a text of one or more characters, not ''."),
        ({"prompt": "x" * 32_001}, "prompt must be a text of at most 32000 characters, not 'xxx"),
    ],
    ids=["missing", "empty", "too long"],
)
def test_the_prompt(api: FlaskClient, body: dict[str, Any], said: str) -> None:
    response = api.post("/v1/images/generations", json=body)
    assert response.status_code == 400
    assert response.get_json()["error"]["message"].startswith(said)
