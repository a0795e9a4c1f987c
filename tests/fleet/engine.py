"""The engine as a process of its own, and a look at what it has stored."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import nats
import nats.js.errors
from nats.js import JetStreamContext

from tests.fleet.processes import Process, binary, free_port

KEPT, LIVE, RESULTS, FILES = (f"COMFYBRIDGE_{name}" for name in ("KEPT", "LIVE", "RESULTS", "FILES"))

T = TypeVar("T")


class Records:
    """What an engine has stored, asked of it directly.

    Args:
        place: gives its address, and its token if it wants one.
    """

    def __init__(self, place: Callable[[], tuple[str, str | None]]) -> None:
        self._place = place

    def results(self) -> dict[str, int]:
        """How many results are stored of each job, by its id."""
        found = self._ask(lambda stream: _counts(stream, RESULTS, "comfybridge.kept.result.>"))
        return {subject.rsplit(".", 1)[1]: count for subject, count in found.items()}

    def open_jobs(self, kind: str) -> int:
        """How many jobs are stored that have not ended: "kept" or "live" ones."""
        return self._ask(
            lambda stream: _open(stream, {"kept": KEPT, "live": LIVE}[kind], f"comfybridge.{kind}.job.*")
        )

    def last(self, stream: str, subject: str) -> bytes:
        """The last message on a subject."""

        async def last(context: JetStreamContext) -> bytes:
            return (await context.get_last_msg(stream, subject)).data or b""

        return self._ask(last)

    def publish(self, subject: str, data: bytes) -> None:
        """Store a message, whatever is there."""

        async def publish(context: JetStreamContext) -> None:
            await context.publish(subject, data)

        self._ask(publish)

    def publish_first(self, subject: str, data: bytes) -> bool:
        """Store a message if it is the first on its subject, as a bridge stores a job; whether it was."""

        async def publish(context: JetStreamContext) -> bool:
            try:
                await context.publish(subject, data, headers={"Nats-Expected-Last-Subject-Sequence": "0"})
            except nats.js.errors.APIError:
                return False
            return True

        return self._ask(publish)

    def tighten(self, stream: str, room: int = 50) -> None:
        """Leave a stream no more room than so many bytes."""

        async def tighten(context: JetStreamContext) -> None:
            found = await context.stream_info(stream)
            await context.update_stream(found.config, max_bytes=found.state.bytes + room)

        self._ask(tighten)

    def widen(self, stream: str) -> None:
        """Give a stream room again."""

        async def widen(context: JetStreamContext) -> None:
            await context.update_stream((await context.stream_info(stream)).config, max_bytes=2**26)

        self._ask(widen)

    def _ask(self, question: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        async def ask() -> T:
            url, token = self._place()
            connection = await nats.connect(url, token=token)
            try:
                return await question(connection.jetstream())
            finally:
                await connection.close()

        return asyncio.run(ask())


class Engine(Process):
    """A nats-server that keeps its address through restarts.

    Args:
        store: the folder for what it stores.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        *,
        store: Path | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.records = Records(lambda: (self.url, None))
        config = folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nmax_payload: 8MB\n'
            f'jetstream {{ store_dir: "{store or folder / "store"}", sync_interval: always, '
            "max_memory_store: 512MB }\n"
        )
        super().__init__("engine", [binary("nats-server"), "-c", str(config)], folder / "log", environment)
        self.wait_until_ready()

    def start(self) -> None:
        self._starts = self.said.count("Server is ready") if self.log.exists() else 0
        super().start()

    def wait_until_ready(self) -> None:
        self.wait_until_said(r"(?s)" + "Server is ready.*" * (self._starts + 1))

    def kill_and_start(self) -> None:
        self.kill()
        self.start()
        self.wait_until_ready()


def embedded_records(state_dir: Path) -> Records:
    """What the engine has stored that a bridge with this state folder runs itself."""

    def place() -> tuple[str, str | None]:
        folder = state_dir / "engine"
        (ports,) = folder.glob("*.ports")
        url: str = json.loads(ports.read_text())["nats"][0]
        return url, (folder / "token").read_text().strip()

    return Records(place)


async def _counts(context: JetStreamContext, stream: str, subjects: str) -> dict[str, int]:
    state: Any = (await context.stream_info(stream, subjects_filter=subjects)).state
    return dict(state.subjects or {})


async def _open(context: JetStreamContext, stream: str, subjects: str) -> int:
    count = 0
    for each in await _counts(context, stream, subjects):
        with contextlib.suppress(nats.js.errors.NotFoundError):  # it has just been deleted
            count += bool((await context.get_last_msg(stream, each)).data)
    return count
