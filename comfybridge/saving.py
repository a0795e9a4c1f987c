"""Files under names that work everywhere, there whole or not at all."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>:\"|?*\\/]+")


def safe_name(filename: str) -> str:
    """A file name without folders and without what would break a header or a file system."""
    name = _UNSAFE.sub("_", filename).strip(". ")
    return name or "output"


def save(chunks: Iterable[bytes], path: str | Path) -> Path:
    """Write a file as its bytes come. What was there before is replaced once all have come, and else stays.

    Raises:
        OSError: it can't be written; and whatever the chunks raise.
    """
    target = Path(path)
    place = Path(os.path.realpath(target))  # what a link leads to is replaced, not the link
    if place.exists() and not place.is_file():  # a terminal, a pipe, /dev/null
        with place.open("wb") as file:
            file.writelines(chunks)
        return target
    unfinished = place.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with unfinished.open("xb") as file:
            file.writelines(chunks)
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
    return target
