"""The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a request that may be repeated."""

from __future__ import annotations

import re
from typing import Annotated

from flask import Request
from pydantic import Field

from comfybridge.errors import InvalidRequest
from comfybridge.web.describing import Variable

HEADER = "Idempotency-Key"
PATTERN = r"[!-~]([ -~]{0,253}[!-~])?"

KEY = Variable(
    "Any text of your own. A request repeated with the same key, for example after a lost connection, gets "
    "the prompt that was queued the first time, whether it waits, runs, or has finished; it does not run twice.",
    Annotated[str, Field(min_length=1, max_length=255, pattern=f"^{PATTERN}$")],
    is_optional=True,
)


def idempotency_key(request: Request) -> str | None:
    """The key that a request was given, if it was.

    Raises:
        InvalidRequest: it is not a key.
    """
    key = request.headers.get(HEADER)
    if key is not None and not re.fullmatch(PATTERN, key):
        raise InvalidRequest(f"{HEADER} must be 1 to 255 visible ASCII characters.")
    return key
