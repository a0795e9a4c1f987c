"""The mirror of the jobs that one process keeps in memory, fed by the engine's messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from comfybridge.jobs.job import Claim, Ending, Job, Kind, Result

What = Literal["queued", "claimed", "given_back", "ended"]


@dataclass
class Entry:
    """An open job.

    Attributes:
        sequence: of the job's message in its stream.
        claim: the last one, if any; also of a dead agent.
        claim_sequence: 0 without a claim.
        arrived: when this process heard of it, in seconds of the monotonic clock.
        claimed: likewise, of its last claim.
        is_running: whether a living agent has claimed it.
    """

    job: Job
    sequence: int
    arrived: float
    claim: Claim | None = None
    claim_sequence: int = 0
    claimed: float = 0.0
    is_running: bool = False

    @property
    def attempt(self) -> int:
        """The number of the next run."""
        return 1 if self.claim is None else self.claim.attempt + 1


@dataclass(frozen=True)
class Past:
    """What is known at once of a job that has ended; `Board.result` has the rest."""

    id: str
    kind: Kind
    status: Ending
    owner: str | None
    created: float
    labels: dict[str, str]


class Board:
    """All jobs that this process knows of. Methods may be called by any thread; callbacks must be quick."""

    version: int  # another one after each change

    def entry(self, job_id: str) -> Entry | None:
        """An open job."""
        raise NotImplementedError

    def open(self) -> list[Entry]:
        """All open jobs, in no order."""
        raise NotImplementedError

    def past(self, owner: str | None) -> list[Past]:
        """An owner's kept jobs that have ended, the newest (by `created`) first. Only a bridge's board has them."""
        raise NotImplementedError

    def result(self, job_id: str) -> Result | None:
        """How a job ended; None if it has not, or that is no longer kept. May ask the engine: EngineUnreachable."""
        raise NotImplementedError

    def position(self, job_id: str) -> int | None:
        """How many waiting jobs go before this one, if nothing changes; None if it does not wait. Cheap."""
        raise NotImplementedError

    def wait(self, job_id: str, is_so: Callable[[], object], seconds: float) -> bool:
        """Wait until a condition on this job is true; it is tried again at each of the job's changes.

        Returns:
            Whether it became true in time.
        """
        raise NotImplementedError

    def wait_for_change(self, version: int, seconds: float) -> int:
        """Wait until the version is another one than this, or the time is over. Returns the version then."""
        raise NotImplementedError

    def changes(self, hear: Callable[[str, What], None], job_id: str | None = None) -> Callable[[], None]:
        """Call `hear(job id, what)` at each change, of one job or of all, in the engine's thread.

        Returns:
            What ends that.
        """
        raise NotImplementedError

    def counts(self) -> dict[tuple[Kind, str], int]:
        """How many open jobs there are by kind and state: "queued" or "running"."""
        raise NotImplementedError

    def waiting_of(self, owner: str | None) -> int:
        """How many jobs of an owner wait."""
        raise NotImplementedError

    def oldest(self) -> float | None:
        """For how many seconds the oldest waiting job has waited; None if none waits."""
        raise NotImplementedError
