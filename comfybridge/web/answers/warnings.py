"""The warnings of an answer that has no place for them in its body, as a header."""

from __future__ import annotations

import json
from collections.abc import Sequence

HEADER = "X-Warnings"
# Proxies take heads of 4 kB, and some no more: what does not fit is in the JSON of `/results`.
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
    while len(json.dumps(text)) > LONGEST_WARNING + 2:  # what is not ASCII takes more room
        text = text[: len(text) * 3 // 4]
    return text if text == warning else f"{text}..."
