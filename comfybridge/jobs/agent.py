"""An agent: takes jobs from the queue, and runs them on the ComfyUIs of its bridge."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial

import comfybridge
from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.errors import BridgeError, EngineUnreachable
from comfybridge.jobs.abilities import Abilities, abilities_of
from comfybridge.jobs.asked import answer_asked
from comfybridge.jobs.job import Job
from comfybridge.jobs.live_files import LiveFiles
from comfybridge.jobs.presence import Announcer, Presence
from comfybridge.jobs.queue import JobQueue, Taker
from comfybridge.jobs.running import Run, Surroundings
from comfybridge.jobs.telling import Tidings, Watched

log = logging.getLogger(__name__)

TAKE_SECONDS = 5.0
TICK_SECONDS = 1.0
BUSY_SECONDS = 1.0  # until ComfyUI's queue, or the bridge, may have room again
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
ABILITIES_SECONDS = 60.0  # for all node classes of a large ComfyUI on a busy machine
RECENT_SECONDS = 15.0  # abilities are not asked for again so soon, though jobs wait that lack something
KNOWN_SECONDS = 600.0


class Agent:
    """Runs jobs until it is stopped. Methods may be called by any thread.

    Args:
        agent_id: the same after each start of the same agent.
        name: for people.
        slots: how many jobs run at once; None: one for each ComfyUI.
        lease: as `Presence` takes it.
    """

    def __init__(
        self,
        bridge: Bridge,
        engine: Engine,
        *,
        agent_id: str,
        name: str,
        slots: int | None = None,
        lease: float | None = None,
    ) -> None:
        self.name = name
        self.slots = slots or len(bridge.servers.all)
        self._bridge = bridge
        self._engine = engine
        self._presence = Presence(engine) if lease is None else Presence(engine, lease=lease)
        self.queue = JobQueue(engine, "agent", self._presence, lost=self._lose)
        self._announcer = Announcer(engine, agent_id, name, comfybridge.__version__, self.slots)
        self._live = LiveFiles()
        self._watched: Watched | None = None
        self._abilities: Abilities | None = None
        self._learned_at = float("-inf")
        self._runs: dict[str, Run] = {}
        self._free = threading.Semaphore(self.slots)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._gave_up = False
        self._ends: list[contextlib.AbstractContextManager[None]] = []
        self._around = Surroundings(
            bridge, engine, self.queue, self._tell, self._live.keep, self._has_others, lambda: self._gave_up
        )

    def start(self) -> None:
        """Begin to take jobs, as soon as the engine and a ComfyUI answer."""
        for target in (self._take, self._tick):
            threading.Thread(target=target, name=f"comfybridge agent{target.__name__}", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Take no more jobs, and give those that run some time to end; then give them back."""
        self._stopping.set()
        self.queue.wake()
        self._free.release()
        if not self._wait_until_idle(seconds):
            log.warning("The time is up; giving back the jobs %s.", ", ".join(self.running))
            self._bridge.shut_down()
            self._wait_until_idle(LAST_SECONDS)
        self._gave_up = True
        self._announcer.goodbye()
        for end in self._ends:
            end()
        self.queue.close()

    @property
    def running(self) -> list[str]:
        """The ids of the jobs that it has claimed, and not ended yet."""
        with self._lock:
            return list(self._runs)
