"""Saves files completely or not at all, under names that work on every system."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

# Characters that separate folders, break a header or a file system, or make a name look like another one: control
# characters, marks that reverse the direction of writing, line separators, and lone surrogates.
_UNSAFE = re.compile(
    '[\x00-\x1f\x7f-\x9f<>:"|?*\\\\/\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+'
)
# Names that Windows reserves for devices, whatever ending follows.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3]) *(\.|$)", re.IGNORECASE)
# File systems allow 255 bytes; a number in brackets may be added to make a name unique.
LONGEST_NAME = 230
LONGEST_ENDING = 20


def safe_name(filename: str) -> str:
    """The name without folders or characters that would break a header or a file system, in at most 230 bytes."""
    name = _UNSAFE.sub("_", filename[: 4 * LONGEST_NAME] + filename[4 * LONGEST_NAME :][-LONGEST_ENDING:])
    name = _shortened(name.strip(". ")).strip(". ")
    return (f"_{name}" if _DEVICE.match(name) else name) or "output"


def _shortened(name: str) -> str:
    """The name cut to `LONGEST_NAME` bytes in UTF-8, with its ending kept."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > LONGEST_ENDING:
        stem, dot, ending = name, "", ""
    room = LONGEST_NAME - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + dot + ending


def save(chunks: Iterable[bytes], path: str | Path) -> Path:
    """Write a file as its bytes arrive. An existing file is replaced only once all have arrived.

    Raises:
        OSError: it can't be written; and whatever the chunks raise.
    """
    target = Path(path)
    place = Path(os.path.realpath(target))  # a symbolic link stays; its target is replaced
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


def save_beside(chunks: Iterable[bytes], names: Iterator[Path]) -> Path:
    """Write a file under the first of several names that is free, so that no file is replaced.

    Raises:
        OSError: it can't be written; and whatever the chunks raise.
    """
    for name in names:
        try:
            name.open("xb").close()  # so that no other process takes it
        except FileExistsError:
            continue
        try:
            return save(chunks, name)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
    raise FileExistsError("every name is taken")
