"""Writes values and lists of names for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

MOST_LISTED = 20
MOST_CHARACTERS = 100
# Comparing two names takes some 0.1 ms; a graph may have thousands of nodes.
MOST_COMPARED = 500


def clip(text: object) -> str:
    """A text that fits into a sentence."""
    if not isinstance(text, str):
        # with YAML's aliases, a list or an object may be too large for any memory when written out
        text = describe(text) if isinstance(text, (list, tuple, Mapping, int)) else str(text)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."


def describe(value: object) -> str:
    """A value, worded for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{clip(value)}'"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (int, float)):
        return describe_number(value)
    return f"a {type(value).__name__}"


def describe_number(number: float) -> str:
    """A number, shortened if it has too many digits to read."""
    # Python refuses to write an integer of more than 4300 digits, so that one must never reach str()
    if isinstance(number, int) and number.bit_length() > 256:
        return "a number of more than 77 digits"
    return str(number)


def nearest(name: object, names: Iterable[object]) -> str | None:
    """The name most like the given one, if one is like it at all."""
    texts = [str(each) for each in names]
    lower = [text.lower()[:MOST_CHARACTERS] for text in texts[:MOST_COMPARED]]
    close = difflib.get_close_matches(clip(name).lower()[:MOST_CHARACTERS], lower, n=1)
    return texts[lower.index(close[0])] if close else None


def nearest_first(name: object, names: Iterable[object]) -> list[str]:
    """All names, most similar to the given one first."""
    texts = [str(each) for each in names]
    by_lower: dict[str, list[str]] = {}
    for text in texts[:MOST_COMPARED]:
        by_lower.setdefault(text.lower()[:MOST_CHARACTERS], []).append(text)
    wanted = clip(name).lower()[:MOST_CHARACTERS]
    close = [text for key in difflib.get_close_matches(wanted, by_lower, n=3) for text in by_lower[key]]
    found = set(close)
    return close + [text for text in texts if text not in found]


def listed(names: Iterable[object], near: object = "") -> str:
    """A list of the names, most similar first, and the number of others if there are too many."""
    ordered = nearest_first(near, names)
    if not ordered:
        return "none"
    shown = ", ".join(clip(name) for name in ordered[:MOST_LISTED])
    rest = len(ordered) - MOST_LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown
