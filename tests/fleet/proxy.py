"""A network between two programs that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any


class Proxy:
    """Passes connections on to a port, until it is cut: then nothing passes, and nobody is told."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_open: asyncio.Event
        self._server: asyncio.Server
        self.port = self._call(self._start())

    def cut(self) -> None:
        """Let nothing pass: what is sent is kept, new connections are taken and not answered."""
        self._call(self._set(False))

    def heal(self) -> None:
        """Let everything pass again, also what was kept."""
        self._call(self._set(True))

    def reset(self) -> None:
        """Close all connections of the time; new ones pass."""
        self._call(self._reset())

    def close(self) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> int:
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _set(self, is_open: bool) -> None:
        (self._is_open.set if is_open else self._is_open.clear)()

    async def _reset(self) -> None:
        for each in self._writers:
            each.close()

    async def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await self._reset()
        await asyncio.sleep(0)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._is_open.wait()
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(their_writer)
            await asyncio.gather(self._pass(reader, their_writer), self._pass(their_reader, writer))
            self._writers.discard(their_writer)
        writer.close()
        self._writers.discard(writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                await self._is_open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
