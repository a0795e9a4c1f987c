"""Agents tell that they are there; everybody listens, and so notices when one has died.

Only the listener's monotonic clock counts, so that clocks that are wrong or set back do no harm.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from comfybridge.engine.engine import Engine
from comfybridge.jobs.subjects import agent_subject

log = logging.getLogger(__name__)

LEASE = 15.0  # seconds without a sign after which an agent is dead
ANNOUNCE = 3.0  # seconds between two announcements
TOGETHER_SECONDS = 0.3  # at least, between two announcements of jobs
FORGOTTEN = 20  # leases after which an agent that is dead is not remembered


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
        is_leaving: whether this is its last sign.
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
    is_leaving: bool = False

    @property
    def can_take(self) -> bool:
        """Whether one of its ComfyUIs answers, as far as it has told."""
        return not self.servers or any(self.servers.values())


class Announcer:
    """Announces one agent every few seconds and soon after each change. Methods may be called by any thread.

    Attributes:
        session: made here; a claim names it.
    """

    def __init__(
        self, engine: Engine, agent_id: str, name: str, version: str, slots: int, *, every: float = ANNOUNCE
    ) -> None:
        self.agent_id = agent_id
        self.session = uuid.uuid4().hex
        self._engine = engine
        self._every = every
        self._lock = threading.Lock()
        self._agent = Agent(agent_id, self.session, name, version, slots)
        self._is_new = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcing", daemon=True)

    def start(self) -> None:
        """Announce from now on, in a thread of its own."""
        self._thread.start()

    def update(
        self,
        *,
        running: Sequence[str] | None = None,
        servers: Mapping[str, bool] | None = None,
        mean_seconds: float | None = None,
        abilities_hash: str | None = None,
        slots: int | None = None,
    ) -> None:
        """Change what is announced, and announce it if it is new; what is not given stays.

        Jobs come and go many times a second: they and what changes with them are announced together.
        """
        given: dict[str, Any] = {
            "running": None if running is None else tuple(running),
            "servers": None if servers is None else dict(servers),
            "mean_seconds": mean_seconds,
            "abilities_hash": abilities_hash,
            "slots": slots,
        }
        with self._lock:
            changed = replace(self._agent, **{name: value for name, value in given.items() if value is not None})
            is_new, self._agent = changed != self._agent, changed
        if is_new and running is not None:
            self._is_new.set()
        elif is_new and self._thread.is_alive():
            self._announce()

    def goodbye(self) -> None:
        """Say that this run of the agent is over, and stop. What it has claimed is free at once."""
        if self._is_over.is_set():
            return
        self._is_over.set()
        self._is_new.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._agent = replace(self._agent, is_leaving=True)
        self._announce()

    def _run(self) -> None:
        pause = min(TOGETHER_SECONDS, self._every)
        while not self._is_over.is_set():
            self._is_new.clear()
            self._announce()
            self._is_over.wait(pause)
            self._is_new.wait(self._every - pause)

    def _announce(self) -> None:
        with self._lock:  # also while it is sent: an older state never follows a newer one
            self._engine.tell(agent_subject(self.agent_id), _adapter().dump_json(self._agent))


@dataclass
class _Seen:
    agent: Agent
    first: float
    last: float  # seconds of the monotonic clock


class Presence:
    """Which agents there are. Methods may be called by any thread.

    Args:
        lease: seconds without a sign after which an agent is dead.
        changed: called from time to time, and at once when an agent comes, goes, or changes what it announces.
    """

    def __init__(self, engine: Engine, *, lease: float = LEASE, changed: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._lease = lease
        self._callbacks = [changed]
        self._lock = threading.Lock()
        self._living: list[Agent] | None = None  # as last worked out, if nothing has changed
        self._seen: dict[tuple[str, str], _Seen] = {}  # by id and session
        self._listening = time.monotonic()  # since when, without a break
        self._is_listening = True
        self._is_over = threading.Event()
        self._ends: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._watch, name="presence", daemon=True)

    def start(self) -> None:
        """Listen from now on."""
        self._engine.on_change(self._hear_connection)
        self._ends = [self._engine.listen(agent_subject("*"), self._hear)]
        self._listening = time.monotonic()
        self._thread.start()

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call also this when agents have changed, and from time to time."""
        self._callbacks.append(changed)

    def living(self) -> list[Agent]:
        """The agents that are not dead and were heard at least once, ordered by name and id."""
        with self._lock:
            if self._living is None:
                living = [seen.agent for seen in self._seen.values() if not self._is_over_for(seen)]
                self._living = sorted(living, key=lambda agent: (agent.name, agent.id))
            return list(self._living)

    def find(self, agent_id: str) -> Agent | None:
        """The living agent of that id."""
        return next((agent for agent in self.living() if agent.id == agent_id), None)

    def settle(self) -> None:
        """Just after the start, wait until all that live have been heard: each announces itself every few seconds."""
        needed = 2 * ANNOUNCE * self._lease / LEASE
        while (left := self._listening + needed - time.monotonic()) > 0 and not self._is_over.is_set():
            self._is_over.wait(left)

    def is_dead(self, agent_id: str, session: str, *, since: float = 0.0) -> bool:
        """Whether that run of an agent is over.

        It was not heard for the lease since this process listens without a break; or it said goodbye; or another run
        of the same agent was first heard after its last sign.

        Args:
            since: seconds of the monotonic clock at which there was a sign of another kind.
        """
        with self._lock:
            seen = self._seen.get((agent_id, session))
            if seen is not None:
                return self._is_over_for(seen, since)
            if self._is_replaced(agent_id, session, since):
                return True
            return self._is_silent(since)

    def has_dropped(self, agent_id: str, session: str, job_id: str, *, since: float) -> bool:
        """Whether a living agent, a lease after it claimed a job at a time, says that it does not run it."""
        with self._lock:
            seen = self._seen.get((agent_id, session))
            since = max(since, self._listening)
            return seen is not None and seen.last > since + self._lease and job_id not in seen.agent.running

    def close(self) -> None:
        """Listen no longer."""
        self._is_over.set()
        while self._ends:
            self._ends.pop()()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _is_over_for(self, seen: _Seen, since: float = 0.0) -> bool:
        agent = seen.agent
        last = max(seen.last, since)
        return agent.is_leaving or self._is_replaced(agent.id, agent.session, last) or self._is_silent(last)

    def _is_replaced(self, agent_id: str, session: str, last: float) -> bool:
        return any(seen.first > last for key, seen in self._seen.items() if key[0] == agent_id and key[1] != session)

    def _is_silent(self, last: float) -> bool:
        return self._is_listening and time.monotonic() - max(last, self._listening) > self._lease

    def _hear(self, subject: str, data: bytes) -> None:
        try:
            agent = _adapter().validate_json(data)
        except ValidationError:
            log.warning("an agent's announcement is skipped: it is broken (%s)", subject)
            return
        now = time.monotonic()
        with self._lock:
            seen = self._seen.get((agent.id, agent.session))
            is_new = seen is None or seen.agent != agent
            self._seen[agent.id, agent.session] = _Seen(agent, now if seen is None else seen.first, now)
            if is_new:
                self._living = None
        if is_new:
            self._tell()

    def _hear_connection(self, is_connected: bool) -> None:
        with self._lock:
            self._is_listening = is_connected
            self._living = None
            self._listening = time.monotonic()

    def _watch(self) -> None:
        """Look for the dead, and notice when this process itself stood still, and heard nobody."""
        pause = min(1.0, self._lease / 5)
        last = time.monotonic()
        while not self._is_over.wait(pause):
            now = time.monotonic()
            with self._lock:
                self._living = None
                if now - last > self._lease / 2:
                    self._listening = now
                for key in [key for key, seen in self._seen.items() if now - seen.last > FORGOTTEN * self._lease]:
                    del self._seen[key]
            last = now
            self._tell()

    def _tell(self) -> None:
        for changed in self._callbacks:
            changed()


@functools.cache
def _adapter() -> TypeAdapter[Agent]:
    return TypeAdapter(Agent)
