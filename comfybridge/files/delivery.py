"""The outputs of one answer, fetched so that failures show early and memory stays small.

Before the answer begins, every file is opened, several at a time. Small ones are fetched whole, as long as there is
room; of the first that does not fit, the beginning is. Of the others only the size is taken down, and they are opened
again when it is their turn. So an answer of small files is in memory when it begins, and one of large files needs no
more memory than one of small ones, and no more connections than a few.

A file that turns out to be unusable then is left out of the answer, with a warning, if there is anything else in it.

What must be converted is loaded whole, one image at a time. While there is room for the results that happens before
the answer begins, and after that when it is their turn: such files have no size until then.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from comfybridge.errors import ComfyUIError, FileUnusable
from comfybridge.media import file_extension, image_size
from comfybridge.request import CHUNK, OpenFile, Output

ROOM = 4 * 1024 * 1024  # bytes for files that are held until they are sent
BEGINNING = 2 * 1024 * 1024  # bytes of the first file that does not fit
AHEAD = 2 * 1024 * 1024  # the next file is opened when no more than this is left of the one that is being sent
AT_ONCE = 4  # files that are opened before it is their turn
SLOW_SECONDS = (
    0.005  # within which as many files as will are fetched one by one: threads cost more than they win there
)

# What is called so and begins like nothing known is something else: the page of a proxy, say, or half a file.
UNMISTAKABLE = ("image/png", "image/jpeg", "image/webp", "image/gif")


class DeliveredFile:
    """One of the files: what is known of it.

    Attributes:
        media_type, filename, warnings: after conversion; that is known from the beginning if `size` is.
        size: in bytes; None if it will only be known when it has been sent.
        pixels: width and height, if it is an image that tells them.
        data: the whole of it, if it is in memory.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.media_type = output.media_type
        self.filename = output.filename
        self.warnings: tuple[str, ...] = ()
        self.size: int | None = None
        self.pixels: tuple[int, int] | None = None
        self.data: bytes | None = None
        self._has_room = False
        self._was_sent = False
        self._opened: OpenFile | None = None
        self._opening: Future[OpenFile] | None = None

    def _learn(self, file: OpenFile) -> None:
        self.media_type, self.filename, self.warnings = file.media_type, file.filename, file.warnings
        self.size = file.size
        if self.output.kind == "image":
            beginning = file.fetch(CHUNK)
            self.pixels = image_size(beginning)
            if self.pixels is None and self.media_type in UNMISTAKABLE and file_extension(beginning) is None:
                raise FileUnusable(f"What ComfyUI gave as its output file {self.output.filename!r} is no image.")

    def _opened_already(self) -> OpenFile | None:
        """What was opened before it was needed; that is the caller's then, to close it."""
        opened, opening = self._opened, self._opening
        self._opened = self._opening = None
        return opened if opening is None else opening.result()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        if self._opening is not None and not self._opening.cancel():
            self._opening.add_done_callback(_close_result)
        self._opened = self._opening = None


class Delivery:
    """The files of one answer, to be closed after it. For one thread at a time.

    Args:
        outputs: in the order in which they will be sent.
        has_more: whether the answer has something besides them, so that none of them need be left.

    Attributes:
        files: in that order, without those that are left out.
        warnings: sentences on those that are.

    Raises:
        FileUnusable: none of the files can be used, and the answer has nothing else.
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file can't be fetched.
    """

    def __init__(self, outputs: Sequence[Output], *, has_more: bool = False) -> None:
        self.files = [DeliveredFile(output) for output in outputs]
        self.warnings: list[str] = []
        self._room = ROOM
        self._room_lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        started = time.monotonic()
        try:
            index = 0
            while index < len(self.files):
                for soon in self.files[index : index + AT_ONCE]:
                    self._open_soon(soon, self._begin)
                try:
                    self._take(self.files[index])
                    index += 1
                except FileUnusable as error:
                    if len(self.files) == 1 and not has_more:
                        raise
                    self._leave_out(index, error)
                if self._threads is None and time.monotonic() - started > SLOW_SECONDS:
                    self._threads = ThreadPoolExecutor(AT_ONCE)  # which starts none before they have something to do
        except BaseException:
            self.close()
            raise
        if self.is_in_memory:
            self.close()

    @property
    def is_in_memory(self) -> bool:
        """Whether every file is, so that nothing can go wrong any more."""
        return all(file.data is not None for file in self.files)

    def chunks(self, file: DeliveredFile) -> Generator[bytes, None, None]:
        """The bytes of one of the files, in its turn or once more later; its size is known when they have come.

        Raises:
            ComfyUIError, ComfyUIUnreachable, TimedOut: it can't be fetched, or is not what it was any more.
        """
        if file.data is not None:
            yield file.data
            return
        following = None if file._was_sent else self._following(file)
        count = 0
        with self._open(file) as opened:
            for chunk in opened:
                count += len(chunk)
                if file.size is not None and count > file.size:
                    break
                if following is not None and (opened.size or 0) - count <= AHEAD:
                    self._open_soon(following, _source)
                    following = None
                yield chunk
        if file.size not in (None, count):
            raise _changed(file)
        file.size, file._was_sent = count, True

    def close(self) -> None:
        """Drop whatever is still open. May be called twice."""
        for file in self.files:
            file._close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # -- before the answer begins --------------------------------------------------------------------------------

    def _leave_out(self, index: int, error: FileUnusable) -> None:
        self.files.pop(index)._close()
        self.warnings.append(f"{error.message.rstrip('.')}; it is left out.")

    def _take(self, file: DeliveredFile) -> None:
        """Take down what there is to know of a file, and keep what there is room for."""
        convert = file.output.convert
        if convert is not None and self._room <= 0:
            file._close()
            return
        opened = file._opened_already() or self._begin(file)
        with contextlib.ExitStack() as stack:
            stack.callback(opened.close)
            is_kept = file._has_room
            if convert is not None:
                given_back = opened.size if is_kept and opened.size else 0
                opened = OpenFile.of(convert(opened.load()))
                self._use_room((opened.size or 0) - given_back)  # more than there is: it is in memory already
                is_kept = True
            elif opened.size is None and self._room > 0:
                data = opened.fetch(self._room)
                if opened.is_fetched:
                    opened.size = len(data)
                    is_kept = self._find_room(len(data))
            file._learn(opened)
            if is_kept:
                file.data = opened.fetch()
            elif all(earlier.data is not None for earlier in self.files[: self.files.index(file)]):
                opened.fetch(BEGINNING)
                file._opened = opened
                stack.pop_all()

    def _begin(self, file: DeliveredFile) -> OpenFile:
        """Open a file, and fetch the whole of it if there is room, else enough to tell an image's size."""
        opened = file.output.source()
        try:
            file._has_room = opened.size is not None and self._find_room(opened.size)
            opened.fetch(None if file._has_room else CHUNK)
        except BaseException:
            opened.close()
            raise
        return opened

    def _find_room(self, size: int) -> bool:
        with self._room_lock:
            if size > self._room:
                return False
            self._room -= size
            return True

    def _use_room(self, size: int) -> None:
        with self._room_lock:
            self._room -= size

    # -- while it is sent ----------------------------------------------------------------------------------------

    def _open(self, file: DeliveredFile) -> OpenFile:
        opened = file._opened_already() or file.output.source()
        try:
            if file.output.convert is not None:
                opened = OpenFile.of(file.output.convert(opened.load()))
            if file.size is None:
                file._learn(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    def _following(self, file: DeliveredFile) -> DeliveredFile | None:
        after = self.files[self.files.index(file) + 1 :]
        return next((each for each in after if each.data is None), None)

    def _open_soon(self, file: DeliveredFile, begin: Callable[[DeliveredFile], OpenFile]) -> None:
        """Have a thread open a file before it is its turn, if it is ComfyUI that has it."""
        if self._threads is not None and file.output.is_remote and file._opening is None and file._opened is None:
            file._opening = self._threads.submit(begin, file)


def _source(file: DeliveredFile) -> OpenFile:
    return file.output.source()


def _close_result(opening: Future[OpenFile]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _changed(file: DeliveredFile) -> ComfyUIError:
    return ComfyUIError(f"ComfyUI's output file {file.output.filename!r} changed while it was being fetched.")
