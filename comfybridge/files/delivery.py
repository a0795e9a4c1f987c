"""The outputs of one answer, fetched so that failures show early and memory stays small.

Before the answer begins, every file is opened, several at a time. Small files are fetched whole as long as there is
room, and of the first that does not fit, the beginning is fetched. For all others only the size is recorded; they are
opened again in their turn. So small files are in memory when the answer begins, and large files need no more memory
than small ones, and only a few connections.

A file that proves unusable at this point is left out of the answer, with a warning, if the answer has anything else.

Images to convert are loaded whole, one at a time. As long as there is room for the results, this happens before the
answer begins, and otherwise in their turn: until then, their size is unknown.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence

from comfybridge.errors import ComfyUIError, FileUnusable
from comfybridge.files.ahead import Ahead, Begun
from comfybridge.media import file_extension, image_size
from comfybridge.request import CHUNK, OpenFile, Output

ROOM = 4 * 1024 * 1024  # bytes for files that are held until they are sent
BEGINNING = 2 * 1024 * 1024  # bytes of the first file that does not fit
AHEAD = 2 * 1024 * 1024  # the next file is opened when no more than this is left of the one that is being sent
AT_ONCE = 4  # files that are opened before their turn
# Seconds in which files are fetched one by one: if they all arrive quickly, threads cost more than they gain.
SLOW_SECONDS = 0.005

# A file with such an ending but an unknown beginning is something else, such as a proxy's error page or a truncated
# file.
UNMISTAKABLE = ("image/png", "image/jpeg", "image/webp", "image/gif")


class DeliveredFile:
    """One of the files, with what is known about it.

    Attributes:
        media_type, filename, warnings: after conversion; known from the beginning if `size` is.
        size: in bytes; None if unknown until it has been sent.
        pixels: width and height, if it is an image and they are known.
        data: the whole file, if it is in memory.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.media_type = output.media_type
        self.filename = output.filename
        self.warnings: tuple[str, ...] = ()
        self.size: int | None = None
        self.pixels: tuple[int, int] | None = None
        self.data: bytes | None = None

    def learn(self, file: OpenFile) -> None:
        """Record what the file's bytes show about it.

        Raises:
            FileUnusable: it is not what its name says.
        """
        self.media_type, self.filename, self.warnings = file.media_type, file.filename, file.warnings
        self.size = file.size
        if self.output.kind == "image":
            beginning = file.fetch(CHUNK)
            self.pixels = image_size(beginning)
            if self.pixels is None and self.media_type in UNMISTAKABLE and file_extension(beginning) is None:
                raise FileUnusable(f"ComfyUI's output file {self.output.filename!r} is not an image.")


class _Room:
    """Bytes for files that are held until they are sent. Safe to share between threads."""

    def __init__(self, size: int) -> None:
        self.left = size
        self._lock = threading.Lock()

    def find(self, size: int) -> bool:
        """Take an amount of room if it is free; returns whether it was."""
        with self._lock:
            if size > self.left:
                return False
            self.left -= size
            return True

    def use(self, size: int) -> None:
        """Take an amount of room even if it is not free: the bytes are in memory already."""
        with self._lock:
            self.left -= size


class Delivery:
    """The files of one answer; close them after it. For one thread at a time.

    Args:
        outputs: in the order in which they will be sent.
        has_more: whether the answer has something besides the files, so that all of them may be left out.

    Attributes:
        files: in that order, without files that are left out.
        warnings: sentences on files that are left out.

    Raises:
        FileUnusable: no file is usable, and the answer has nothing else.
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file can't be fetched.
    """

    def __init__(self, outputs: Sequence[Output], *, has_more: bool = False) -> None:
        self.files = [DeliveredFile(output) for output in outputs]
        self.warnings: list[str] = []
        self._room = _Room(ROOM)
        self._ahead: Ahead[DeliveredFile] = Ahead(AT_ONCE)
        try:
            self._plan(has_more)
        except BaseException:
            self.close()
            raise
        self._to_come = deque(file for file in self.files if file.data is None)
        if self.is_in_memory:
            self.close()

    @property
    def is_in_memory(self) -> bool:
        """Whether every file is in memory, so that nothing can go wrong any more."""
        return all(file.data is not None for file in self.files)

    def chunks(self, file: DeliveredFile) -> Generator[bytes, None, None]:
        """The bytes of one of the files, in its turn or again later; afterwards its size is known.

        Raises:
            ComfyUIError, ComfyUIUnreachable, TimedOut: it can't be fetched, or has changed.
        """
        if file.data is not None:
            yield file.data
            return
        following = self._following(file)
        count = 0
        with self._open(file) as opened:
            for chunk in opened:
                count += len(chunk)
                if file.size is not None and count > file.size:
                    break
                if following is not None and (opened.size or 0) - count <= AHEAD:
                    self._open_soon(following, begin=_source)
                    following = None
                yield chunk
        if file.size not in (None, count):
            raise _changed(file)
        file.size = count

    def close(self) -> None:
        """Drop whatever is still open. May be called twice."""
        self._ahead.close()

    # -- before the answer begins --------------------------------------------------------------------------------

    def _plan(self, has_more: bool) -> None:
        """Fetch the files for which there is room, and learn the size of the others."""
        started = time.monotonic()
        index = 0
        while index < len(self.files):
            for soon in self.files[index : index + AT_ONCE]:
                self._open_soon(soon, begin=self._begin)
            try:
                self._take(self.files[index])
                index += 1
            except FileUnusable as error:
                if len(self.files) == 1 and not has_more:
                    raise
                self._leave_out(index, error)
            if not self._ahead.has_threads and time.monotonic() - started > SLOW_SECONDS:
                self._ahead.start_threads()

    def _leave_out(self, index: int, error: FileUnusable) -> None:
        self._ahead.drop(self.files.pop(index))
        self.warnings.append(f"{error.message.rstrip('.')}; it is left out.")

    def _take(self, file: DeliveredFile) -> None:
        """Record what a file's bytes show about it, and keep it if there is room."""
        convert = file.output.convert
        if convert is not None and self._room.left <= 0:
            self._ahead.drop(file)
            return
        begun = self._ahead.take(file) or self._begin(file)
        opened, is_kept = begun.file, begun.has_room
        with contextlib.ExitStack() as stack:
            stack.callback(opened.close)
            if convert is not None:
                given_back = opened.size if is_kept and opened.size else 0
                opened = OpenFile.of(convert(opened.load()))
                self._room.use((opened.size or 0) - given_back)
                is_kept = True
            elif opened.size is None and self._room.left > 0:
                data = opened.fetch(self._room.left)
                if opened.is_fetched:
                    opened.size = len(data)
                    is_kept = self._room.find(len(data))
            file.learn(opened)
            if is_kept:
                file.data = opened.fetch()
            elif all(earlier.data is not None for earlier in self.files[: self.files.index(file)]):
                opened.fetch(BEGINNING)
                self._ahead.put(file, Begun(opened))
                stack.pop_all()

    def _begin(self, file: DeliveredFile) -> Begun:
        """Open a file, and fetch all of it if there is room, and otherwise enough to read an image's size."""
        opened = file.output.source()
        try:
            has_room = opened.size is not None and self._room.find(opened.size)
            opened.fetch(None if has_room else CHUNK)
        except BaseException:
            opened.close()
            raise
        return Begun(opened, has_room)

    # -- while it is sent ----------------------------------------------------------------------------------------

    def _open(self, file: DeliveredFile) -> OpenFile:
        opened = (self._ahead.take(file) or _source(file)).file
        try:
            if file.output.convert is not None:
                opened = OpenFile.of(file.output.convert(opened.load()))
            if file.size is None:
                file.learn(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    def _following(self, file: DeliveredFile) -> DeliveredFile | None:
        """The file that comes next; None after a file that is sent again."""
        if file not in self._to_come:
            return None
        while self._to_come.popleft() is not file:
            pass
        return self._to_come[0] if self._to_come else None

    def _open_soon(self, file: DeliveredFile, begin: Callable[[DeliveredFile], Begun]) -> None:
        """Have a file opened before its turn, if it must be fetched from ComfyUI."""
        if file.output.is_remote:
            self._ahead.open(file, begin)


def _source(file: DeliveredFile) -> Begun:
    return Begun(file.output.source())


def _changed(file: DeliveredFile) -> ComfyUIError:
    return ComfyUIError(f"ComfyUI's output file {file.output.filename!r} changed while it was being fetched.")
