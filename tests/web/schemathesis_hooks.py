"""What schemathesis is to check beside its own checks; `test_openapi_cases.py` has it load this file."""

from __future__ import annotations

import schemathesis

# Such a short timeout rightly ends in a 504.
SHORT_SECONDS = 5.0


@schemathesis.check
def no_server_error(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """No 5xx, but for the time that was up because hardly any was given."""
    if response.status_code < 500:
        return None
    fields = case.body if isinstance(case.body, dict) else {}
    timeout = fields.get("timeout")
    is_short = isinstance(timeout, (int, float)) and timeout < SHORT_SECONDS
    assert response.status_code == 504, f"{response.status_code}: {response.text[:500]}"
    assert is_short, f"timed out: {response.text[:500]}"
    return None
