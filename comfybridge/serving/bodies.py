"""The bodies of requests, as they come: in memory while they are small, then in a file, within a common budget."""

from __future__ import annotations

import contextlib
import io
import string
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from comfybridge.serving.refusals import BAD_REQUEST, Refused
from comfybridge.settings import Settings
from comfybridge.web.marks import UPLOAD

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# More of a body goes into a temporary file.
MOST_IN_MEMORY = 64 * 1024
RETRY_SECONDS = 5
UPLOADS_AT_ONCE = 2  # of the largest size; more if they are smaller

_HEX = frozenset(string.hexdigits.encode())
LONGEST_SIZE = 15  # digits of a chunk's size: all that a file could hold
LONGEST_LINE = 1024  # the line before a chunk, or one of the trailer
LONGEST_TRAILER = 8 * 1024
LINES_AT_ONCE = 400  # each chunk has two, and takes some time however small it is


class Budget:
    """The bytes that all bodies may have together. For several threads.

    Args:
        most: bytes. Bodies that fit into `MOST_IN_MEMORY` may have an eighth more, so that large ones that come
            slowly do not keep them out.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._for_small = most // 8
        self._lock = threading.Lock()

    def check(self, count: int) -> None:
        """Refuse a body of so many bytes if there is no room for it now.

        Raises:
            Refused
        """
        if count > self._left:
            raise _no_room()

    def take(self, count: int, size: int) -> None:
        """Use so many bytes of it.

        Args:
            size: bytes of that body so far, with these.

        Raises:
            Refused: there are not so many.
        """
        with self._lock:
            if count > self._left + (self._for_small if size <= MOST_IN_MEMORY else 0):
                raise _no_room()
            self._left -= count

    def give_back(self, count: int) -> None:
        """Let others have them."""
        with self._lock:
            self._left += count


@dataclass(frozen=True)
class Limits:
    """How many bytes bodies may have.

    Attributes:
        most: one of them.
        budget: all of them together.
    """

    most: int
    budget: Budget


class LimitsOf:
    """The limits of a request. Uploads of assets have their own: they stay on disk, and never come into memory.

    Args:
        usual: the limits of all other requests.
        uploads: those of uploads; None: the usual ones.
    """

    def __init__(self, usual: Limits, uploads: Limits | None = None) -> None:
        self._usual = usual
        self._uploads = uploads or usual

    @classmethod
    def of(cls, settings: Settings) -> LimitsOf:
        """What the settings allow."""
        usual = Limits(settings.max_json_bytes + settings.max_upload_bytes, Budget(settings.max_total_body_bytes))
        most = settings.max_asset_bytes + settings.max_json_bytes
        return cls(usual, Limits(most, Budget(UPLOADS_AT_ONCE * most)))

    def __call__(self, environ: WSGIEnvironment) -> Limits:
        """The limits of a request that the application has admitted, or will see whole."""
        return self._uploads if environ.get(UPLOAD) else self._usual


def _no_room() -> Refused:
    sentence = "The bridge holds the most bytes of requests that COMFYBRIDGE_MAX_TOTAL_BODY_BYTES allows."
    return Refused(503, "busy", sentence, RETRY_SECONDS)


def _no_disk() -> Refused:
    """No room is left on the disk, or no file descriptor."""
    sentence = "The bridge cannot store the body: it has no room for temporary files."
    return Refused(503, "busy", sentence, RETRY_SECONDS)


class Body:
    """A body that is being received. Must be closed.

    Args:
        most: bytes that it may have.

    Attributes:
        file: what has come; to be read from its beginning.
        size: how many bytes have come.
    """

    def __init__(self, most: int, budget: Budget) -> None:
        self.file: IO[bytes] = io.BytesIO()
        self.size = 0
        self._most = most
        self._budget = budget
        self._taken = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add some bytes.

        Raises:
            Refused: the body is too large, or all bodies together are.
        """
        self.size += len(data)
        if self.size > self._most:
            raise too_large(self._most)
        self._budget.take(len(data), self.size)
        self._taken += len(data)
        try:
            if self.size > MOST_IN_MEMORY and isinstance(self.file, io.BytesIO):
                begun = self.file.getvalue()
                self.file = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
                self.file.write(begun)
            self.file.write(data)
        except OSError:
            raise _no_disk() from None

    def rewind(self) -> None:
        """Go back to the beginning, where it is read.

        Raises:
            Refused: the end of it does not fit on the disk.
        """
        try:
            self.file.seek(0)
        except OSError:
            raise _no_disk() from None

    def close(self) -> None:
        """Give back what it takes. May be called twice."""
        taken, self._taken = self._taken, 0
        self._budget.give_back(taken)
        with contextlib.suppress(OSError):  # what does not fit on the disk is written once more
            self.file.close()


def too_large(most: int) -> Refused:
    """The refusal of a body."""
    return Refused(413, "too_large", f"The body has more than {most} bytes, the most that this bridge accepts.")


class Chunks:
    """Takes a chunked body apart (RFC 9112, 7.1), as it comes.

    Attributes:
        is_interrupted: whether there may be more in the buffer, for another call.
    """

    def __init__(self) -> None:
        self.is_interrupted = False
        self._left = 0  # bytes of the current chunk
        self._read: Callable[[bytes], None] = self._read_size
        self._trailer = 0
        self._is_over = False

    def take(self, buffer: bytearray, write: Callable[[memoryview], object]) -> bool:
        """Take what has come, or some of it, out of a buffer, and write the content of chunks; whether that was all.

        Raises:
            Refused: it is malformed.
        """
        at = lines = 0
        self.is_interrupted = False
        try:
            while not self._is_over:
                if self._left:
                    with memoryview(buffer) as view, view[at : at + self._left] as piece:
                        write(piece)
                        count = len(piece)
                    at += count
                    self._left -= count
                    if self._left:
                        return False
                    self._read = self._read_end
                end = buffer.find(b"\n", at)
                if end < 0:
                    self._check_beginning(buffer, at)
                    return False
                if end == at or buffer[end - 1] != 0x0D or end - at > LONGEST_LINE:
                    raise _malformed()
                if lines == LINES_AT_ONCE:
                    self.is_interrupted = True
                    return False
                lines += 1
                line = bytes(buffer[at : end - 1])
                at = end + 1
                self._read(line)
            return True
        finally:
            del buffer[:at]

    def _check_beginning(self, buffer: bytearray, at: int) -> None:
        is_end = self._read == self._read_end
        if len(buffer) - at > LONGEST_LINE or (is_end and len(buffer) > at and buffer[at] != 0x0D):
            raise _malformed()

    def _read_size(self, line: bytes) -> None:
        digits, _, extension = line.partition(b";")
        digits = digits.rstrip(b" \t") if extension else digits
        if not 0 < len(digits) <= LONGEST_SIZE or not _HEX.issuperset(digits) or b"\r" in extension:
            raise _malformed()
        self._left = int(digits, 16)
        if not self._left:
            self._read = self._read_trailer

    def _read_end(self, line: bytes) -> None:
        if line:
            raise _malformed()
        self._read = self._read_size

    def _read_trailer(self, line: bytes) -> None:
        self._trailer += len(line)
        if self._trailer > LONGEST_TRAILER or b"\r" in line or (line and b":" not in line):
            raise _malformed()
        self._is_over = not line  # the fields are of no interest


def _malformed() -> Refused:
    return Refused(*BAD_REQUEST, "The chunks of the body are malformed.")
