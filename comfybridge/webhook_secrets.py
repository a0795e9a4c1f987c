"""The secrets that webhooks are signed with: those of an API key sign what its jobs send.

Several secrets of one name sign together, so that receivers can change from one to the next.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

from comfybridge.keys import DEFAULT, check_name

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes, as the Standard Webhooks specification recommends
FORM = f"NAME={PREFIX}BASE64, comma-separated, NAME being that of an API key, or {DEFAULT}"


@dataclass(frozen=True)
class WebhookSecret:
    """A secret.

    Attributes:
        name: of the API key; `default` for all callers whose keys have none.
        key: its bytes.
    """

    name: str
    key: bytes = field(repr=False)


def parse_webhook_secrets(text: str) -> tuple[WebhookSecret, ...]:
    """Read secrets as the settings write them.

    Raises:
        ValueError: a sentence to follow the setting's name. It does not quote any secret.
    """
    found = tuple(_parse(each.strip(), number) for number, each in enumerate(text.split(","), 1) if each.strip())
    if len(set(found)) < len(found):
        raise ValueError("has the same secret twice under one name")
    return found


def secrets_of(owner: str | None, all_secrets: Iterable[WebhookSecret]) -> list[bytes]:
    """The secrets that sign for a caller: those of its key, or else those of `default`."""
    own = [each.key for each in all_secrets if each.name == owner]
    return own or [each.key for each in all_secrets if each.name == DEFAULT]


def _parse(entry: str, number: int) -> WebhookSecret:
    which = f"has a secret (number {number})"  # never the text, which may be the secret
    name, equals, text = entry.partition("=")
    if not equals or name.startswith(PREFIX):
        raise ValueError(f"{which} without a name; it takes {FORM}")
    if name != DEFAULT:
        try:
            check_name(name)
        except ValueError as error:
            raise ValueError(f"{which} whose name {error}; it takes {FORM}") from None
    if not text.startswith(PREFIX):
        raise ValueError(f"{which} that does not begin with {PREFIX}; it takes {FORM}")
    encoded = text.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{which} that is not base64 after {PREFIX}") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"{which} of {len(key)} bytes; it must have {SHORTEST} to {LONGEST}")
    return WebhookSecret(name, key)
