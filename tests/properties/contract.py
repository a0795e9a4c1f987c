"""What every answer keeps to, whatever was asked."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from werkzeug.test import TestResponse

from tests.web.answers import LEAKS

# errors of graphs that fail or show nothing, which are neither the caller's nor the bridge's fault
OF_NODES = ("execution_failed", "no_output")
# line breaks, control characters, marks that reverse the direction of writing, lone surrogates
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
MOST_SECONDS = 30.0  # CPU seconds, for work that takes milliseconds


def kept(ask: Callable[[], TestResponse]) -> TestResponse:
    """The answer, which has the one shape that errors have if it is one, and is none that tells of a bug."""
    began = time.process_time()
    response = ask()
    assert time.process_time() - began < MOST_SECONDS
    assert all(value.isprintable() and len(value.encode("latin-1")) < 8000 for _, value in response.headers)
    if response.status_code < 400 or response.request.method == "HEAD":
        return response
    body = response.get_json()
    assert isinstance(body, dict), response.text
    assert body["status"] == "error"
    assert response.status_code < 500 or body["type"] in OF_NODES, body
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert body["error"].endswith("."), body
    assert not CONTROL.search(body["error"]), body
    assert not LEAKS.search(response.text), response.text
    return response
