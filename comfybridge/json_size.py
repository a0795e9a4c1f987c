"""How much JSON may hold, checked before it is parsed.

Ten bytes of it can become a hundred of lists, and while Python parses it nobody else is served. Of what is meant,
most is base64 and prose; the graph of a large workflow has some 10,000 values.
"""

from __future__ import annotations

from typing import Any

MOST_VALUES = 500_000
MOST_VALUES_OF_COMFYUI = 1_000_000  # in one answer or event: a node may show a number for each pixel


def holds_too_much(text: str | bytes, most: int = MOST_VALUES) -> bool:
    """Whether some JSON may have more than `most` values; commas and brackets within its texts count too."""
    if len(text) <= most:  # no value takes less than a character
        return False
    if isinstance(text, str):
        return sum(map(text.count, ",[{")) > most
    return sum(map(text.count, (b",", b"[", b"{"))) > most


def has_more_bytes(most: int, *values: Any) -> bool:
    """Whether some values have more bytes than that as JSON: texts and keys count, and one for each other value."""
    found, size = list(values), 0
    for value in found:  # grows meanwhile
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, dict):
            found.extend(value)
            found.extend(value.values())
        elif isinstance(value, (list, tuple)):
            found.extend(value)
        else:
            size += 1
        if size > most:
            return True
    return False
