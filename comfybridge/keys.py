"""API keys, which identify callers.

Only digests are kept, so no key can get into a log, a traceback or an answer. Keys are drawn at random and long, so
one round of SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

HASHED = "sha256:"
DEFAULT = "default"  # the policy file's name for all others
FORM = "keys with commas between, each KEY, sha256:HASH, NAME=KEY or NAME=sha256:HASH"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,512}")  # what fits into a header and has no comma
_HASH = re.compile(r"[0-9a-f]{64}")
SHORTEST_PADDED = 20


@dataclass(frozen=True)
class ApiKey:
    """A key that callers may use.

    Attributes:
        name: the name of its user in the policy file, and beside the prompts in ComfyUI's queue.
        digest: SHA-256 of the key.
    """

    name: str
    digest: bytes = field(repr=False)


class Keyring:
    """The keys that are accepted."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def name_of(self, sent: str) -> str | None:
        """The name of a key that a caller sent; None if it is unknown.

        The sent key is hashed and compared with every key in constant time, so the time reveals nothing.
        """
        digest = _digest(sent)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.name
        return found


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """Read keys as the settings write them.

    Raises:
        ValueError: a sentence to follow the setting's name. It does not quote any key.
    """
    if text.strip() and not text.strip(", \t\n"):
        raise ValueError(f"has no key; it takes {FORM}")
    keys = [_parse(each.strip(), number) for number, each in enumerate(text.split(","), 1) if each.strip()]
    if len({key.name for key in keys}) < len(keys):
        raise ValueError("gives two keys the same name")
    if len({key.digest for key in keys}) < len(keys):
        raise ValueError("has the same key twice")
    return tuple(keys)


def new_key() -> str:
    """A key of 256 random bits."""
    return secrets.token_urlsafe(32)


def hashed(key: str) -> str:
    """The hash of a key, which the settings may hold instead of the key."""
    return HASHED + _digest(key).hex()


def check_name(name: str) -> None:
    """Make sure that a key can have that name.

    Raises:
        ValueError: it cannot; the message follows the name's description.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 letters, digits and ._-, the first a letter or a digit")
    if name == DEFAULT:
        raise ValueError(f"can't be {DEFAULT}, which the policy file uses for all others")


def _parse(entry: str, number: int) -> ApiKey:
    which = f"has a key (number {number})"  # never the text, which may be the key
    name, equals, key = entry.partition("=")
    if not equals or _is_padded(entry):
        return _key("", entry, which)
    try:
        check_name(name)
    except ValueError as error:
        raise ValueError(f"{which} whose name {error}; it takes {FORM}") from None
    return _key(name, key, which)


def _key(name: str, key: str, which: str) -> ApiKey:
    if key.startswith(HASHED):
        digits = key.removeprefix(HASHED).lower()
        if not _HASH.fullmatch(digits):
            raise ValueError(f"{which} whose hash is not {HASHED} and 64 hexadecimal digits")
        digest = bytes.fromhex(digits)
    elif _KEY.fullmatch(key):
        digest = _digest(key)
    else:
        raise ValueError(f"{which} that is empty, too long, or not of visible ASCII characters; it takes {FORM}")
    return ApiKey(name or f"key-{digest.hex()[:8]}", digest)


def _is_padded(entry: str) -> bool:
    """Whether it is a key without a name, in padded base64, such as `openssl rand -base64 32` makes."""
    if len(entry) < SHORTEST_PADDED or len(entry) % 4 or "=" in entry.rstrip("="):
        return False
    try:
        base64.b64decode(entry, altchars=b"-_" if re.search("[-_]", entry) else None, validate=True)
    except ValueError:
        return False
    return True


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
