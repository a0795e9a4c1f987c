"""Where the command line puts the outputs of a workflow: into files, or one of them to standard output."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from comfybridge.cli.exit_codes import NOT_SAVED, USAGE
from comfybridge.media import is_same_ending, named_ending
from comfybridge.request import Kind, OpenFile
from comfybridge.saving import safe_name, save, save_beside

STANDARD_OUTPUT = "-"


class CommandFailed(Exception):
    """The command failed; the message is one line.

    Attributes:
        code: the exit code that says so.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class MadeFile:
    """An output of a workflow that has not been fetched yet."""

    filename: str
    kind: Kind
    open: Callable[[], OpenFile]


@dataclass
class Saved:
    """Where files are saved, and what to report about that."""

    names: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Place(Protocol):
    """A place for files."""

    def put(self, files: Sequence[MadeFile], again: str) -> Saved:
        """Put files there.

        Args:
            again: a sentence on whether the files are still available if this fails.

        Raises:
            CommandFailed
        """


def place_of(output: str | None) -> Place:
    """The place that `-o` names; call this before the workflow runs.

    Raises:
        CommandFailed: files can't be put there.
    """
    if output == STANDARD_OUTPUT:
        return Stream(None)
    place = Path(os.path.realpath(output)) if output is not None else Path.cwd() / "any"
    if place.is_dir():
        raise CommandFailed(f"-o takes the name of a file, and {output!r} is a folder.", USAGE)
    if output is not None and place.exists() and not place.is_file():  # a terminal, a pipe, /dev/null
        return Stream(Path(output))
    if not place.parent.is_dir():
        raise CommandFailed(f"There is no folder {place.parent} to save files in.", USAGE)
    if not os.access(place.parent, os.W_OK):
        raise CommandFailed(f"The folder {place.parent} can't be written to.", USAGE)
    return OwnNames() if output is None else Named(Path(output))


class OwnNames:
    """Files in the current folder, under the names that ComfyUI gave them."""

    def put(self, files: Sequence[MadeFile], again: str) -> Saved:
        """Save all files without replacing any: ComfyUI chooses the names, and must not choose what to replace."""
        saved = Saved()
        for number, file in enumerate(files, 1):
            with file.open() as opened:
                name = _own_name(opened, number)
                _write(opened, partial(save_beside, names=_numbered(name, " ({})")), name, again, saved)
        return saved


class Named:
    """The file that the caller named, and others beside it."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def put(self, files: Sequence[MadeFile], again: str) -> Saved:
        """Save the first file that fits the ending under the name, and the others beside it without replacing any.

        Raises:
            CommandFailed: none fits (all are saved nevertheless), or one can't be written.
        """
        place, saved, is_taken = self._place, Saved(), False
        for number, file in enumerate(files, 1):
            with file.open() as opened:
                own = _own_name(opened, number)
                ending = named_ending(place.name)
                fits = not ending or is_same_ending(ending, named_ending(own.name))
                if fits and not is_taken:
                    is_taken = True
                    _write(opened, partial(save, path=place), place, again, saved)
                    continue
                name = place if fits else place.with_name(f"{place.stem}{own.suffix}")
                names = itertools.islice(_numbered(name, "_{}"), int(fits), None)  # the name itself is reserved
                _write(opened, partial(save_beside, names=names), name, again, saved)
        if not is_taken:
            raise CommandFailed(
                f"The workflow made no {place.suffix} file. Its outputs are saved: {', '.join(saved.names)}.",
                NOT_SAVED,
            )
        return saved


class Stream:
    """Standard output, a device or a pipe: it takes the bytes of one file.

    Args:
        place: None: standard output.
    """

    def __init__(self, place: Path | None) -> None:
        self._place = place

    def put(self, files: Sequence[MadeFile], again: str) -> Saved:
        """Write the first picture, else the first file, else the first text; report any others."""
        saved = Saved()
        chosen = min(files, key=lambda file: (file.kind != "image", file.kind == "text"))
        where = Path("standard output") if self._place is None else self._place
        write = _to_standard_output if self._place is None else partial(save, path=self._place)
        with chosen.open() as opened:
            _write(opened, write, where, again, saved)
            name = opened.filename or "a text"
        others = [each.filename or "a text" for each in files if each is not chosen]
        if others:
            saved.warnings.append(f"Only {name} went to {where}; not saved: {', '.join(others)}.")
        if self._place is None:
            saved.names.clear()  # only the bytes go there
        return saved


def _to_standard_output(chunks: Iterable[bytes]) -> Path:
    try:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # otherwise Python would report the error again when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
    return Path(STANDARD_OUTPUT)


def _own_name(file: OpenFile, number: int) -> Path:
    return Path(safe_name(file.filename or f"text_{number}.txt"))


def _numbered(name: Path, mark: str) -> Iterator[Path]:
    """The name, then the name with numbers."""
    yield name
    for number in itertools.count(2):
        yield name.with_name(f"{name.stem}{mark.format(number)}{name.suffix}")


def _write(file: OpenFile, write: Callable[[OpenFile], Path], name: Path, again: str, saved: Saved) -> None:
    try:
        saved.names.append(str(write(file)))
    except OSError as error:
        raise CommandFailed(f"{name} can't be written: {error.strerror or error}. {again}", NOT_SAVED) from None
    saved.warnings += file.warnings
