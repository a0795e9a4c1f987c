"""The header for the warnings of an answer whose body has no place for them."""

from __future__ import annotations

import json
from collections.abc import Sequence

HEADER = "X-Warnings"
# Some proxies allow headers of 4 kB in all; warnings that do not fit are in the JSON of `/results`.
MOST_BYTES = 1500
LONGEST_WARNING = 500


def warnings_header(warnings: Sequence[str]) -> str:
    """A JSON list of texts, in ASCII; those that don't fit are counted in the last one."""
    shown: list[str] = []
    for number, warning in enumerate(warnings):
        text = _shortened(warning)
        if len(json.dumps([*shown, text])) > MOST_BYTES:
            shown.append(f"{len(warnings) - number} more")
            break
        shown.append(text)
    return json.dumps(shown)


def _shortened(warning: str) -> str:
    text = warning[:LONGEST_WARNING]
    while len(json.dumps(text)) > LONGEST_WARNING + 2:  # characters outside ASCII take more room
        text = text[: len(text) * 3 // 4]
    return text if text == warning else f"{text}..."
