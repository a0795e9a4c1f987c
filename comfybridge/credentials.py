"""Removes credentials from the URLs in a text, so that they are not shown or logged."""

from __future__ import annotations

import re

# the user and password before a host; a URL with an unescaped / or space in them is none
_USER = re.compile(r"(?<=://)[^\s/?#\"'<>]{0,2000}@")
_QUERY = re.compile(r"(://[^\s?#\"'<>]{0,2000}\?)[^\s\"'<>]+")


def without_users(text: str) -> str:
    """The text without any `user:password@` in its URLs."""
    return _USER.sub("", text) if "://" in text else text


def without_secrets(text: str) -> str:
    """The same, without the URLs' queries too, which may contain tokens and signatures. For logs."""
    return _QUERY.sub(r"\1...", without_users(text)) if "://" in text else text
