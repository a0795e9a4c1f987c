"""The queue: each process mirrors the open jobs, chooses by itself, and claims by compare-and-set, so that only one
process wins. The first result of a job is its only one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from comfybridge.engine.engine import Engine
from comfybridge.jobs.board import Board
from comfybridge.jobs.job import Claim, Job, Result
from comfybridge.jobs.presence import Presence


@dataclass(frozen=True)
class Taker:
    """An agent that looks for work.

    Attributes:
        lacks: what it lacks to run a job, as a sentence; None if it can run it. Called often: be quick. Its answer is
            remembered for all jobs with the same classes and models, until `abilities_hash` changes.
    """

    agent: str
    session: str
    name: str
    lacks: Callable[[Job], str | None] = lambda job: None
    abilities_hash: str = ""


@dataclass(frozen=True)
class Claimed:
    """A job that this process may run.

    Attributes:
        sequence: of the claim's message.
        is_first: whether nobody has claimed the job before, so that no ComfyUI can know its prompt.
    """

    job: Job
    claim: Claim
    sequence: int
    is_first: bool

    @property
    def attempt(self) -> int:
        return self.claim.attempt

    @property
    def is_exhausted(self) -> bool:
        """Whether the job was begun too often: it must not run again, only end as failed."""
        return self.claim.attempt > self.job.attempts


class JobQueue:
    """The jobs of the fleet, as one process takes part in them. Methods may be called by any thread.

    All methods that ask the engine raise EngineUnreachable. Each may then be called again with the same arguments,
    whatever the engine has stored of the first call.
    """

    board: Board
    presence: Presence

    def __init__(
        self,
        engine: Engine,
        role: Literal["bridge", "agent"],
        presence: Presence,
        *,
        most_open: int = 20_000,
        lost: Callable[[str], None] = lambda job_id: None,
    ) -> None:
        """
        Args:
            role: a bridge follows the results too, and clears away after jobs that have ended.
            presence: is started and closed with the queue.
            most_open: how many jobs may be open.
            lost: called with the id of a job that this process has claimed, when it must stop running it: it was
                cancelled, has ended elsewhere, or was given to another agent. In the engine's thread: be quick.
        """

    def start(self) -> None:
        """Follow the jobs. Returns at once; `is_ready` tells when all that was there is known."""

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until all jobs that were there at the start are known. Returns whether they are."""
        raise NotImplementedError

    def add(self, job: Job, request: bytes) -> Job:
        """Store a job; it is on disk (kept) or in memory (live) afterwards.

        `request` is stored with it, or as a blob if it is large (`job.request_in` is set accordingly).

        Returns:
            The job; if there is one of that id already, also an ended one that is still known, that one. Compare its
            fingerprint.

        Raises:
            Full: too many jobs are open, or the disk is full. Nothing was taken.
            EngineUnreachable: nothing was taken; what may have been stored after all will be withdrawn, unless the
                job has a fingerprint: then the next request with the same key finds it.
        """
        raise NotImplementedError

    def request_of(self, job: Job) -> bytes:
        """The request of an open job. Raises LookupError if it is no longer there."""
        raise NotImplementedError

    def take(self, taker: Taker, seconds: float) -> Claimed | None:
        """Wait for a job that this agent can run, and claim it; None if there is none in time, or `wake` was called.

        Also returns jobs of this agent's session that are claimed although it does not know (the answer was lost),
        and jobs that were begun too often (`Claimed.is_exhausted`).
        """
        raise NotImplementedError

    def wake(self) -> None:
        """Let threads that wait in `take` return."""

    def give_back(self, claimed: Claimed, *, counts: bool, lacks: str | None = None) -> None:
        """Let another agent run it, or this one later.

        Args:
            counts: whether this run counts as one of the job's attempts.
            lacks: why this agent cannot run it; it is not offered the job again.
        """

    def end(self, claimed: Claimed, result: Result) -> bool:
        """Store how a job ended. Returns False if another result was first; that one counts."""
        raise NotImplementedError

    def cancel(self, job_id: str) -> Result | None:
        """End a job as cancelled. Returns its result, an earlier one if it had ended; None if there is no such job."""
        raise NotImplementedError

    def close(self) -> None:
        """Follow no longer. Nothing is given back."""
