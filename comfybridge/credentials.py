"""Remove credentials from the URLs in a text, so that nobody else sees them."""

from __future__ import annotations

import re

# the user and password before a host; those of people who write a / or a blank into one unescaped are no URLs
_USER = re.compile(r"(?<=://)[^\s/?#\"'<>]{0,2000}@")
_QUERY = re.compile(r"(://[^\s?#\"'<>]{0,2000}\?)[^\s\"'<>]+")


def without_users(text: str) -> str:
    """The text without any `user:password@` in its URLs."""
    return _USER.sub("", text) if "://" in text else text


def without_secrets(text: str) -> str:
    """The same without the queries of the URLs either: there stand tokens and signatures. For logs."""
    return _QUERY.sub(r"\1...", without_users(text)) if "://" in text else text
