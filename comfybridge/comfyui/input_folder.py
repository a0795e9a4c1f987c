"""ComfyUI's input folder: files are put there, never held in memory whole, and looked for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator

from urllib3.filepost import choose_boundary, encode_multipart_formdata

from comfybridge.comfyui.calls import Calls, json_object
from comfybridge.comfyui.transport import BLOCK
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, FileUnusable, TimedOut, TooLarge

# Size in bytes above which the bridge first asks ComfyUI for its largest upload.
LARGE_UPLOAD = 8 * 1024 * 1024
_WHOLE_SIZE = re.compile(r"bytes [0-9*-]+/([0-9]+)")


class InputFolder(Calls):
    """The calls that concern a server's input folder."""

    def upload(self, filename: str, data: bytes, subfolder: str, deadline: Deadline | None = None) -> str:
        """As `upload_stream`, from memory."""
        return self.upload_stream(filename, [data], len(data), subfolder, deadline)

    def upload_stream(
        self, filename: str, chunks: Iterable[bytes], size: int, subfolder: str, deadline: Deadline | None = None
    ) -> str:
        """Put a file into ComfyUI's input folder, with its bytes read as they are sent. They are sent once.

        Args:
            chunks: its bytes, in pieces of any size.
            size: how many there are.

        Returns:
            Its name for inputs of nodes: `subfolder/name`. It may differ from the requested one.

        Raises:
            TooLarge: ComfyUI does not accept files of that size.
            FileUnusable: the chunks have more or fewer bytes than `size`.
        """
        if size > LARGE_UPLOAD:
            most = self._largest_upload(deadline)
            if most is not None and size > most:
                raise TooLarge(f"ComfyUI takes input files of up to {most} bytes, but one of the request has {size}.")
        form = _Form(filename, chunks, size, subfolder, deadline)
        headers = {"Content-Type": form.content_type}
        with self.call("POST", "/upload/image", deadline, file=(form, form.size), headers=headers) as answer:
            if answer.status == 413:
                raise TooLarge(f"ComfyUI refuses an input file of {size} bytes as too large.")
            self.check_status(answer)
            said = json_object(answer)
        name, folder = said.get("name"), said.get("subfolder") or ""
        if not isinstance(name, str) or not name or not isinstance(folder, str):
            raise ComfyUIError("ComfyUI's answer to POST /upload/image does not name the file.")
        return f"{folder}/{name}" if folder else name

    def has_input(self, name: str, deadline: Deadline | None = None) -> int | None:
        """The size in bytes of a file in ComfyUI's input folder; None if it is not there. One byte is fetched.

        Args:
            name: as `upload_stream` returns it.
        """
        subfolder, _, filename = name.rpartition("/")
        query = {"filename": filename, "subfolder": subfolder, "type": "input"}
        with self.call("GET", "/view", deadline, query=query, headers={"Range": "bytes=0-0"}) as answer:
            if answer.status in (400, 403, 404):
                return None
            if answer.status not in (206, 416):  # an empty file has no first byte
                self.check_status(answer)
                return answer.length
            whole = _WHOLE_SIZE.fullmatch(answer.header("Content-Range"))
            answer.read(BLOCK)  # so that the connection can be kept alive
            return None if whole is None else int(whole[1])

    def _largest_upload(self, deadline: Deadline | None) -> int | None:
        """The largest upload in bytes; None if ComfyUI does not say."""
        with contextlib.suppress(ComfyUIError):
            most = self.get_json("/features", deadline).get("max_upload_size")
            return most if isinstance(most, int) else None
        return None


class _Form:
    """An upload as a form, sent piece by piece: the timeout applies to each piece, and the deadline to all of them.

    Attributes:
        size: of the whole form, in bytes.
    """

    def __init__(
        self, filename: str, chunks: Iterable[bytes], size: int, subfolder: str, deadline: Deadline | None
    ) -> None:
        mark = choose_boundary()
        file = (filename, mark, "application/octet-stream")
        form, self.content_type = encode_multipart_formdata({"image": file, "type": "input", "subfolder": subfolder})
        head, _, tail = form.partition(mark.encode())
        self.size = len(head) + size + len(tail)
        self._deadline = deadline
        self._pieces = self._cut(head, chunks, size, tail)

    def read(self, most: int) -> bytes:
        """The next piece; nothing at the end."""
        if self._deadline is not None and self._deadline.passed:
            raise TimedOut("The time was up while a file was being uploaded to ComfyUI.")
        return next(self._pieces, b"")

    @staticmethod
    def _cut(head: bytes, chunks: Iterable[bytes], size: int, tail: bytes) -> Iterator[bytes]:
        yield head
        for chunk in chunks:
            size -= len(chunk)
            if size < 0:
                break
            for at in range(0, len(chunk), BLOCK):
                yield chunk[at : at + BLOCK]
        if size:
            raise FileUnusable("A file to upload to ComfyUI is not as long as it should be.")
        yield tail
