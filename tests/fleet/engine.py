"""The engine as a process of its own, and a look at what it has stored."""

from __future__ import annotations

import asyncio


from pathlib import Path
from typing import Any

import nats

from tests.fleet.processes import Process, binary, free_port
from tests.waiting import until_true

RESULTS = "COMFYBRIDGE_RESULTS"
KEPT = "COMFYBRIDGE_KEPT"


class Engine(Process):
    """A nats-server that keeps its address through restarts.

    Args:
        most_file_bytes: how much it stores in files.
        store: its folder for them.
    """

    def __init__(self, folder: Path, environment: dict[str, str], *, most_file_bytes: int = 2**30) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.store = folder / "store"
        self.store.mkdir(parents=True)
        config = folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nmax_payload: 8MB\n'
            f'jetstream {{ store_dir: "{self.store}", sync_interval: always, max_file_store: {most_file_bytes}, '
            "max_memory_store: 256MB }\n"
        )
        super().__init__("engine", [binary("nats-server"), "-c", str(config)], folder / "log", environment)
        self.wait_until_ready()

    def start(self) -> None:
        if self.log.exists():
            self.log.rename(self.log.with_suffix(f".{len(list(self.log.parent.iterdir()))}"))
        super().start()

    def wait_until_ready(self) -> None:
        self.wait_until_said("Server is ready")

    def kill_and_start(self) -> None:
        self.kill()
        self.start()
        self.wait_until_ready()

    def counts(self, stream: str, subjects: str) -> dict[str, int]:
        """How many messages are stored on each subject."""
        return asyncio.run(_counts(self.url, stream, subjects))

    def last(self, stream: str, subject: str) -> bytes:
        """The last message on a subject."""
        return asyncio.run(_last(self.url, stream, subject))

    def results(self) -> dict[str, int]:
        """How many results are stored of each job, by its id."""
        found = self.counts(RESULTS, "comfybridge.kept.result.>")
        return {subject.rsplit(".", 1)[1]: count for subject, count in found.items()}


async def _counts(url: str, stream: str, subjects: str) -> dict[str, int]:
    connection = await nats.connect(url)
    try:
        info = await connection.jetstream().stream_info(stream, subjects_filter=subjects)
        return dict(info.state.subjects or {})
    finally:
        await connection.close()


async def _last(url: str, stream: str, subject: str) -> bytes:
    connection = await nats.connect(url)
    try:
        return (await connection.jetstream().get_last_msg(stream, subject)).data or b""
    finally:
        await connection.close()
