"""The headers of a webhook, as the Standard Webhooks specification has them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from standardwebhooks import Webhook


def signed_headers(id: str, body: bytes, secrets: Iterable[bytes], at: float) -> dict[str, str]:
    """The headers of one try.

    Args:
        id: the same at each try of one webhook.
        body: UTF-8.
        secrets: each signs; without any, there is no signature.
        at: when it is sent, in seconds since 1970.
    """
    time = datetime.fromtimestamp(int(at), timezone.utc)
    text = body.decode()
    headers = {"webhook-id": id, "webhook-timestamp": str(int(at)), "content-type": "application/json"}
    if signatures := [Webhook(secret).sign(id, time, text) for secret in secrets]:
        headers["webhook-signature"] = " ".join(signatures)
    return headers
