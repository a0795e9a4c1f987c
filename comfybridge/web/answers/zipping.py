"""Makes a zip of an answer's files, in memory or while it is sent."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Generator

from comfybridge.files.delivery import DeliveredFile, Delivery
from comfybridge.saving import safe_name

# Beyond this, zipfile writes longer headers, of a length that is hard to predict.
PLAIN_LIMIT = 2 * 1000**3
# Zip has no earlier dates; a machine with an unset clock does.
EARLIEST = (1980, 1, 1, 0, 0, 0)


def zip_in_memory(delivery: Delivery) -> bytes:
    """A zip of files that are all in memory."""
    buffer = io.BytesIO()
    names = _Names()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # pictures and videos are compressed already
        for file in delivery.files:
            archive.writestr(_entry(names.of(file), file), file.data or b"")
    return buffer.getvalue()


def zip_chunks(delivery: Delivery) -> Generator[bytes, None, None]:
    """A zip of files that are fetched while it is sent; raises what `Delivery.chunks` raises.

    It is written strictly forward: facts about a file, such as its checksum, follow the file.
    """
    sink, names = _Sink(), _Names()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for file in delivery.files:
            chunks = delivery.chunks(file)
            chunk = next(chunks, None)  # after which its name is known
            with archive.open(_entry(names.of(file), file), "w", force_zip64=file.size is None) as entry:
                while chunk is not None:
                    entry.write(chunk)
                    yield from sink.taken()
                    chunk = next(chunks, None)
    yield from sink.taken()


def zip_length(delivery: Delivery) -> int | None:
    """The length of `zip_chunks` in bytes; None if unknown."""
    total, sink, names = 0, _Sink(), _Names()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # the same zip, of empty files
        for file in delivery.files:
            if file.size is None:
                return None
            total += file.size
            with archive.open(_entry(names.of(file), file), "w"):
                pass
    total += sum(map(len, sink.taken()))
    return total if total < PLAIN_LIMIT else None


class _Sink:
    """A write-only file that hands on what was written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: no data is held back."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def taken(self) -> list[bytes]:
        """The bytes written since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces


class _Names:
    """A name in the zip for each file, with a number if another one has it already."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, file: DeliveredFile) -> str:
        name = safe_name(file.filename or f"text_{file.output.node_id}.txt")
        stem, dot, ending = name.rpartition(".")
        number = 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem} ({number}){dot}{ending}" if stem else f"{ending} ({number})"
        self._taken.add(name.casefold())
        return name


def _entry(name: str, file: DeliveredFile) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, max(EARLIEST, time.localtime()[:6]))
    entry.file_size = file.size or 0
    return entry
