"""An uploaded file on its way: in a temporary file, hashed as it comes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO

from comfybridge.assets.digest import Digest
from comfybridge.errors import Busy
from comfybridge.media import suffix_of

BLOCK = 256 * 1024
HEAD = 4096  # bytes by which the kind of a file is known
RETRY_SECONDS = 60


class Received:
    """The bytes of an upload. Must be closed, which deletes them.

    Attributes:
        size: how many have come.
    """

    def __init__(self) -> None:
        self.size = 0
        self._head = b""
        self._digest = Digest()
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # `close` closes it
        except OSError:
            raise _no_room() from None

    def write(self, data: bytes) -> int:
        """Take some more bytes. Raises Busy if the disk has no room for them."""
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        self._digest.update(data)
        self.size += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            raise _no_room() from None
        return len(data)

    def seek(self, place: int) -> int:
        """Do nothing: `chunks` begins at the beginning."""
        return place

    @property
    def hash(self) -> str | None:
        """`blake3:HEX`; None without that library."""
        return self._digest.hash

    def name(self, file_path: str) -> str:
        """The name for these bytes on any disk, with an ending that suits them."""
        return f"{self._digest.name}.{suffix_of(self._head, file_path) or 'bin'}"

    def chunks(self) -> Iterator[bytes]:
        """The bytes from the beginning; may be called again."""
        self._file.seek(0)
        while block := self._file.read(BLOCK):
            yield block

    def close(self) -> None:
        """Delete them."""
        with contextlib.suppress(OSError):
            self._file.close()


def _no_room() -> Busy:
    return Busy("The bridge has no room for temporary files.", retry_after=RETRY_SECONDS)
