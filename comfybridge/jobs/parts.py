"""What runs in a process once there are jobs, and what that knows of a job."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from comfybridge.engine.engine import Engine
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.accepting import eta_of
from comfybridge.jobs.board import Board, Entry
from comfybridge.jobs.embedded import EmbeddedAgent
from comfybridge.jobs.job import Result
from comfybridge.jobs.news import News
from comfybridge.jobs.presence import Presence
from comfybridge.jobs.queue import JobQueue
from comfybridge.jobs.skills import Skills, hindrance
from comfybridge.jobs.states import State, ended_state, open_state
from comfybridge.jobs.tries import Tries, not_tried
from comfybridge.jobs.webhooks import Webhooks

HEARING_SECONDS = 1.0  # at most, until the mirror knows what the engine has; it takes a few milliseconds
JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
RESULTS, TRIES = "COMFYBRIDGE_RESULTS", "comfybridge.tries."


@dataclass(frozen=True)
class Parts:
    """The parts. Safe to share between threads.

    Attributes:
        agent: runs jobs on the ComfyUIs of the bridge itself.
        skills: what the agents of a fleet can run.
    """

    engine: Engine
    queue: JobQueue
    presence: Presence
    news: News
    webhooks: Webhooks
    agent: EmbeddedAgent
    skills: Skills = field(default_factory=Skills)

    @property
    def board(self) -> Board:
        """The mirror of all jobs."""
        return self.queue.board

    def check_engine(self) -> None:
        """Raise what keeps the engine from being connected, if something does.

        Raises:
            EngineUnreachable
        """
        self.engine.get(RESULTS, f"{TRIES}none")

    def find(self, job_id: str, *, surely: bool = False) -> State | None:
        """A job as it is now; None if there is none, or its result is no longer kept.

        Args:
            surely: whether to ask the engine, so that no process says that a job runs that has ended in another.
                If the engine is away, that is the last state that is known.

        Raises:
            EngineUnreachable: nothing is known of it here, or its result is not in memory.
        """
        if JOB_ID.fullmatch(job_id) is None:
            return None
        state = self._known(job_id, surely)
        if state is None and self.queue.is_stored(job_id):  # another process has just queued it, or cleared it away
            self.board.wait(job_id, lambda: self.board.knows(job_id), HEARING_SECONDS)
            state = self._known(job_id, surely)
        return state

    def _known(self, job_id: str, surely: bool) -> State | None:
        """A job as the mirror knows it."""
        board = self.board
        entry = board.entry(job_id)
        if entry is not None and surely and entry.state != "queued" and self.queue.has_ended(entry.job):
            board.wait(job_id, lambda: board.entry(job_id) is None, HEARING_SECONDS)
            entry = board.entry(job_id)
        if entry is not None:
            state = self.state_of(entry)
            held_up = self.hindrance(entry) if state.status == "queued" else None
            return state if held_up is None else replace(state, held_up=held_up, eta_seconds=None)
        result = board.result(job_id)
        if result is not None and result.webhook is None and is_over(result):  # the engine is about to delete it
            return None
        return None if result is None else ended_state(result, self.delivery_of(result))

    def state_of(self, entry: Entry) -> State:
        """The state of an open job."""
        if entry.state != "queued":  # it runs, or its result is on its way
            progress = self.news.progress_of(entry.job.id)
            eta = None if progress is None else progress.eta_seconds
            return open_state(entry.job, entry.claim, runs=True, eta_seconds=eta, progress=progress)
        before = self.board.position(entry.job.id)
        position = None if before is None else before + 1
        return open_state(entry.job, entry.claim, position=position, eta_seconds=eta_of(self.presence, position))

    def hindrance(self, entry: Entry) -> str | None:
        """Why nobody takes a waiting job, as a sentence; None if an agent can, as far as is known."""
        return hindrance(entry, self.engine, self.presence.living(), self.skills)

    def delivery_of(self, result: Result) -> Mapping[str, object] | None:
        """What became of a webhook, as far as the engine can say now."""
        if result.webhook is None:
            return None
        with contextlib.suppress(EngineUnreachable):
            message = self.engine.get(RESULTS, TRIES + result.id)
            tries = None if message is None else Tries.from_bytes(message.data)
            return (tries or not_tried(result.ended)).view()
        return None


def is_over(result: Result) -> bool:
    """Whether the time is up for which a result is kept."""
    return result.expires_at <= time.time()
