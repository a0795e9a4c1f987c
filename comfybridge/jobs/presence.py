"""Agents tell that they are there; everybody listens, and so notices when one has died.

Only the listener's monotonic clock counts, so that clocks that are wrong or set back do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from comfybridge.engine.engine import Engine

LEASE = 15.0  # seconds without a sign after which an agent is dead
ANNOUNCE = 3.0  # seconds between two announcements


@dataclass(frozen=True)
class Agent:
    """An agent, as it announces itself.

    Attributes:
        session: its run: another one after each start.
        version: of ComfyBridge.
        slots: how many jobs it runs at once.
        running: the ids of those that it has claimed and not yet ended or given back.
        servers: whether each of its ComfyUIs answers, by URL.
        mean_seconds: how long a job runs, if it knows.
        abilities_hash: changes when its node classes or models do.
    """

    id: str
    session: str
    name: str = ""
    version: str = ""
    slots: int = 1
    running: tuple[str, ...] = ()
    servers: dict[str, bool] = field(default_factory=dict)
    mean_seconds: float | None = None
    abilities_hash: str = ""


class Announcer:
    """Announces one agent every few seconds and at each change. Methods may be called by any thread."""

    def __init__(
        self, engine: Engine, agent_id: str, name: str, version: str, slots: int, *, every: float = ANNOUNCE
    ) -> None:
        self.agent_id = agent_id
        self.session = ""

    def start(self) -> None:
        """Announce from now on, in a thread of its own."""

    def update(
        self,
        *,
        running: Sequence[str] | None = None,
        servers: Mapping[str, bool] | None = None,
        mean_seconds: float | None = None,
        abilities_hash: str | None = None,
        slots: int | None = None,
    ) -> None:
        """Change what is announced, and announce it at once; what is not given stays."""

    def goodbye(self) -> None:
        """Say that this run of the agent is over, and stop. What it has claimed is free at once."""


class Presence:
    """Which agents there are."""

    def __init__(self, engine: Engine, *, lease: float = LEASE) -> None: ...

    def start(self) -> None:
        """Listen from now on."""

    def living(self) -> list[Agent]:
        """The agents that were heard within the lease, ordered by name and id."""
        raise NotImplementedError

    def find(self, agent_id: str) -> Agent | None:
        """The living agent of that id."""
        raise NotImplementedError

    def is_dead(self, agent_id: str, session: str) -> bool:
        """Whether that run of an agent is over.

        It was not heard for the lease since this process listens without a break; or it said goodbye; or another run
        of the same agent was heard after its last sign.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Listen no longer."""
