"""The names of models: files as ComfyUI lists them, and what programs make of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

# AUTOMATIC1111 shows the beginning of the file's checksum: `sd15/plain.safetensors [6ce0161689]`
_CHECKSUM = re.compile(r"\s*\[[0-9a-fA-F]{6,64}\]\s*$")
ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".sft")


def bare(name: str) -> str:
    """A file's name without folders and ending."""
    file = posixpath.basename(name.replace("\\", "/"))
    stem, ending = posixpath.splitext(file)
    return stem if ending.lower() in ENDINGS else file


def installed(wanted: str, files: Sequence[str]) -> str | None:
    """The file that a name means: itself, or without a checksum, folders, ending or case; None if there is none.

    A name that fits several files means none of them, unless it is a file's whole name.
    """
    plain = _CHECKSUM.sub("", wanted).strip().replace("\\", "/")
    for fitting in _by_closeness(plain, files):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            return None
    return None


def _by_closeness(plain: str, files: Sequence[str]) -> Iterator[list[str]]:
    lower = plain.lower()
    yield [each for each in files if each.replace("\\", "/") == plain]
    yield [each for each in files if each.replace("\\", "/").lower() == lower]
    yield [each for each in files if lower in _shortened(each)]


def _shortened(file: str) -> Iterable[str]:
    path = PurePosixPath(file.replace("\\", "/").lower())
    is_model = path.suffix in ENDINGS
    yield path.name
    if is_model:
        yield path.with_suffix("").as_posix()
        yield path.stem
