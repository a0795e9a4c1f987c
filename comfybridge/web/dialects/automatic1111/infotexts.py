"""AUTOMATIC1111's text about a picture: three lines that people read and programs take apart.

    a cat
    Negative prompt: a dog
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512

It is what `modules/infotext_utils.py` writes and reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

NEGATIVE = "Negative prompt:"
LONGEST = 100_000  # characters of a text that is taken apart
# `name: value`, where a value with a comma is a JSON text; names are words.
_PAIR = re.compile(r'\s*(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d+)x(\d+)")
_QUOTED = re.compile("[,\\n:]")  # what makes a value a JSON text
FEWEST_PAIRS = 3


def infotext(prompt: str, negative_prompt: str, values: Mapping[str, object]) -> str:
    """The text.

    Args:
        values: by name, those of its last line; None is left out.
    """
    lines = [prompt]
    if negative_prompt:
        lines.append(f"{NEGATIVE} {negative_prompt}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in values.items() if value is not None))
    return "\n".join(lines)


def parsed(text: str) -> dict[str, object]:
    """The values in a text, by AUTOMATIC1111's names: `Prompt`, `Negative prompt`, `Steps`, `Size-1`, ..."""
    *lines, last = text[:LONGEST].strip().split("\n")
    pairs = _PAIR.findall(last)
    if len(pairs) < FEWEST_PAIRS:
        lines, pairs = [*lines, last], []
    prompt: list[str] = []
    negative: list[str] = []
    found = prompt
    for line in lines:
        if line.strip().startswith(NEGATIVE):
            found, line = negative, line.strip().removeprefix(NEGATIVE)
        found.append(line.strip())
    values: dict[str, object] = {"Prompt": "\n".join(prompt), "Negative prompt": "\n".join(negative)}
    for name, value in pairs:
        size = _SIZE.fullmatch(value)
        if size:
            values[f"{name}-1"], values[f"{name}-2"] = size.groups()
        else:
            values[name] = _unquoted(value)
    return values


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if _QUOTED.search(text) else text


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text
