"""Bridges and agents of a test, as far as they take part in the queue."""

from __future__ import annotations

import time
import uuid
from typing import Any, Literal, cast

from comfybridge.engine.engine import Engine
from comfybridge.jobs.claims import Claimed, Taker
from comfybridge.jobs.job import Ending, Job, Kind, Result, result_of
from comfybridge.jobs.presence import Announcer, Presence
from comfybridge.jobs.queue import JobQueue
from tests.jobs.fake_engine import FakeEngine, Server


def job_of(job_id: str | None = None, *, kind: Kind = "kept", **fields: Any) -> Job:
    return Job(job_id or str(uuid.uuid4()), kind, time.time(), "txt2img", 600.0, **fields)


class Party:
    """A process: its engine, its queue, and what it lost.

    Args:
        server: makes it a fake engine; or a real engine.
    """

    def __init__(
        self, server: Server | Engine, role: Literal["bridge", "agent"], *, lease: float = 1000.0, **options: Any
    ) -> None:
        self.fake = FakeEngine(server if isinstance(server, Server) else Server())
        self.engine = cast(Engine, self.fake) if isinstance(server, Server) else server
        self.lost: list[str] = []
        self.cancelled: list[str] = []
        self.cleared: list[Result] = []
        self.presence = Presence(self.engine, lease=lease)
        self.queue = JobQueue(
            self.engine,
            role,
            self.presence,
            lost=self.lost.append,
            cancelled=self.cancelled.append,
            cleared=self.cleared.append,
            **options,
        )
        self.board = self.queue.board

    def start(self) -> None:
        self.queue.start()
        assert self.queue.wait_until_ready(10)

    def close(self) -> None:
        self.queue.close()


class AgentParty(Party):
    """An agent, which announces itself when it starts."""

    def __init__(self, server: Server | Engine, name: str, *, lease: float = 1000.0, **options: Any) -> None:
        super().__init__(server, "agent", lease=lease, **options)
        self.announcer = Announcer(self.engine, name, name, "1", 1, every=lease / 5)
        self.taker = Taker(name, self.announcer.session, name)

    def start(self) -> None:
        super().start()
        self.announcer.start()

    def take(self, seconds: float = 0.0) -> Claimed | None:
        return self.queue.take(self.taker, seconds)

    def end(self, claimed: Claimed, status: Ending = "succeeded") -> bool:
        return self.queue.end(claimed, result_of(claimed.job, status, ended=time.time(), claim=claimed.claim))

    def close(self) -> None:
        self.announcer.goodbye()
        super().close()
