"""Keeps the bytes of assets, and reads them where they are.

They are in ComfyUI's input folder, under a name that their hash makes; with an engine that agents elsewhere share,
they are blobs of the engine.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator

from comfybridge.assets.asset import Content
from comfybridge.assets.errors import ContentGone
from comfybridge.assets.received import Received
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine, Full
from comfybridge.errors import BridgeError, Busy, ComfyUIUnreachable, FileUnusable, TooLarge
from comfybridge.files.stored import SUBFOLDER, InEngine, InFolder, Place
from comfybridge.request import OpenFile

BLOB = "in-0"
RETRY_SECONDS = 60


class Contents:
    """The bytes of assets. Safe to share between threads.

    Args:
        servers: the ComfyUIs of the bridge.
        engine: where records and blobs are.
    """

    def __init__(self, servers: Servers, engine: Engine) -> None:
        self._servers = servers
        self._engine = engine

    def keep(
        self, received: Received, name: str, asset_id: str, expires: float | None, deadline: Deadline
    ) -> Content:
        """Keep an upload.

        Args:
            name: its name on any disk.
            asset_id: the first asset that has these bytes.
            expires: until when they are needed; None: for good.

        Raises:
            TooLarge: ComfyUI does not take files of that size.
            Busy: the engine has no room.
            ComfyUIUnreachable, ComfyUIError, TimedOut: no ComfyUI takes them.
            EngineUnreachable
        """
        if self._engine.is_chosen:
            place = self._to_engine(received.chunks(), asset_id, expires)
            return Content(received.hash, received.size, name, place, expires)
        return Content(received.hash, received.size, name, self._to_folder(received, name, deadline))

    def copy(self, content: Content, asset_id: str, expires: float | None) -> Content:
        """Keep the bytes of another asset for as long as this one lives, where they would end before or never would.

        Raises:
            Busy, ContentGone, EngineUnreachable
        """
        place = content.place
        if not isinstance(place, InEngine) or lasts(content, expires):
            return content
        try:
            copied = self._to_engine(self._engine.read_blob(place.id, place.name), asset_id, expires)
        except LookupError:
            raise gone() from None
        return Content(content.hash, content.size, content.name, copied, expires)

    def is_there(self, content: Content, deadline: Deadline) -> bool:
        """Whether the bytes are still where they were put.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut, EngineUnreachable: it can't be told now.
        """
        place = content.place
        if isinstance(place, InEngine):
            try:
                next(self._engine.read_blob(place.id, place.name, max(0, content.size - 1)))
            except LookupError:
                return False
            return True
        server = self._server(place)
        if server is None:
            raise ComfyUIUnreachable("The ComfyUI that has the asset is none of the bridge's.")
        return self._has(server, content, deadline)

    def open(
        self, content: Content, filename: str, media_type: str, deadline: Deadline, begin: int, end: int
    ) -> OpenFile:
        """Begin to read the bytes from one to another, the latter excluded.

        Raises:
            ContentGone: they are not there any more.
            ComfyUIUnreachable, ComfyUIError, TimedOut, EngineUnreachable
        """
        with contextlib.ExitStack() as held:
            chunks = self._chunks(content, deadline, begin, end, held)
            file = OpenFile(media_type, filename, chunks, size=end - begin, close=held.pop_all().close)
        try:
            file.fetch(1)
        except (LookupError, FileUnusable):
            file.close()
            raise gone() from None
        except BaseException:
            file.close()
            raise
        return file

    def drop(self, content: Content) -> None:
        """Delete the bytes, where that is possible: ComfyUI keeps what is in its folder."""
        if isinstance(content.place, InEngine):
            self._engine.drop_blobs(content.place.id, content.place.name)

    # -- places --------------------------------------------------------------------------------------------------

    def _to_engine(self, chunks: Iterable[bytes], asset_id: str, expires: float | None) -> InEngine:
        try:
            ttl = None if expires is None else expires - time.time()
            self._engine.put_blob(asset_id, BLOB, chunks, ttl=ttl)
        except Full:
            raise Busy("The store for files is full.", retry_after=RETRY_SECONDS) from None
        return InEngine(asset_id, BLOB)

    def _to_folder(self, received: Received, name: str, deadline: Deadline) -> InFolder:
        """Put an upload into the input folder of the first ComfyUI that takes it."""
        failed: BridgeError | None = None
        for server in sorted(self._servers.all, key=lambda each: not each.is_up):
            place = InFolder(server.url, name)
            try:
                if not self._has(server, Content(received.hash, received.size, name, place), deadline):
                    chunks = received.chunks()
                    stored = server.client.upload_stream(name, chunks, received.size, SUBFOLDER, deadline)
                    place = InFolder(server.url, stored.removeprefix(f"{SUBFOLDER}/"))
                return place
            except ComfyUIUnreachable as error:
                self._servers.mark_down(server)
                failed = failed or error
            except TooLarge as error:
                failed = error
        raise failed or self._servers.nobody()

    def _has(self, server: Server, content: Content, deadline: Deadline) -> bool:
        assert isinstance(content.place, InFolder)
        return server.client.has_input(f"{SUBFOLDER}/{content.place.name}", deadline) == content.size

    def _server(self, place: Place | None) -> Server | None:
        """The server that a place is on; None if it is not the bridge's any more."""
        if not isinstance(place, InFolder):
            return None
        return next((each for each in self._servers.all if each.url == place.server), None)

    def _chunks(
        self, content: Content, deadline: Deadline, begin: int, end: int, held: contextlib.ExitStack
    ) -> Iterator[bytes]:
        """The bytes of a place. Raises LookupError, now or later, if they are gone."""
        place = content.place
        if content.text is not None:
            return iter([content.text[begin:end]])
        if isinstance(place, InEngine):
            chunks = self._engine.read_blob(place.id, place.name, begin)
            held.callback(chunks.close)  # type: ignore[attr-defined]  # it is a generator
            return _cut(chunks, 0, end - begin)
        server = self._server(place)
        if server is None or not isinstance(place, InFolder):
            raise gone()
        is_part = (begin, end) != (0, content.size)
        try:
            part = f"bytes={begin}-{end - 1}" if is_part else None
            download = server.client.view(place.name, SUBFOLDER, "input", deadline, part=part)
        except FileUnusable:
            raise gone() from None
        held.callback(download.close)
        return _cut(download, 0 if download.part else begin, end - begin)


def lasts(content: Content, expires: float | None) -> bool:
    """Whether bytes are kept for as long as an asset, and deleted after it without being asked.

    Bytes that are deleted when asked belong to assets that are.
    """
    if content.until is None or expires is None:
        return content.until is expires
    return content.until >= expires


def gone() -> ContentGone:
    """The error for bytes that are gone."""
    return ContentGone("The bytes of the asset are no longer there.")


def _cut(chunks: Iterable[bytes], skipped: int, count: int) -> Iterator[bytes]:
    """So many of the bytes, after others. Raises FileUnusable if there are fewer."""
    for chunk in chunks:
        piece = chunk[skipped : skipped + count]
        skipped = max(0, skipped - len(chunk))
        count -= len(piece)
        if piece:
            yield piece
        if not count:
            return
    if count:
        raise FileUnusable("The asset ends before its size says.")
