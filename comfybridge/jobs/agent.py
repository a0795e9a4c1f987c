"""An agent: takes jobs from the queue, and runs them on the ComfyUIs of its bridge."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import comfybridge
from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.engine.remote_files import offer_files
from comfybridge.errors import BridgeError
from comfybridge.jobs.abilities import Abilities, abilities_of
from comfybridge.jobs.endings import log_end
from comfybridge.jobs.job import Job
from comfybridge.jobs.live_files import LiveFiles
from comfybridge.jobs.presence import ANNOUNCE, LEASE, Announcer, Presence
from comfybridge.jobs.queue import Claimed, JobQueue, Taker
from comfybridge.jobs.relay import relayed, subject_of_calls
from comfybridge.jobs.running import Run, Surroundings
from comfybridge.jobs.telling import Tidings, Watched
from comfybridge.own_words import own_words

log = logging.getLogger(__name__)

TAKE_SECONDS = 5.0
TICK_SECONDS = 1.0
BUSY_SECONDS = 1.0  # until ComfyUI's queue, or the bridge, may have room again
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
PROBE_SECONDS = 2.0
LOOK_SECONDS = 0.2
LAST_SECONDS = 5.0  # to give back what does not end in time
ABILITIES_SECONDS = 60.0  # for all node classes of a large ComfyUI on a busy machine
RECENT_SECONDS = 15.0  # what ComfyUI has is not asked again so soon, though jobs wait for something else
KNOWN_SECONDS = 600.0


class Agent:
    """Runs jobs until it is stopped. Methods may be called by any thread.

    Args:
        agent_id: the same after each start of the same agent.
        name: for people.
        slots: how many jobs run at once; None: one for each ComfyUI.
        logs_ends: whether to log how each job has ended; the bridge does so too.
        lease: seconds without a sign after which another agent is dead.
    """

    def __init__(
        self,
        bridge: Bridge,
        engine: Engine,
        *,
        agent_id: str,
        name: str,
        slots: int | None = None,
        logs_ends: bool = False,
        lease: float = LEASE,
    ) -> None:
        self.id = agent_id
        self.name = name
        self.slots = slots or len(bridge.servers.all)
        self._bridge = bridge
        self._engine = engine
        self._logs_ends = logs_ends
        self._presence = Presence(engine, lease=lease)
        self.queue = JobQueue(engine, "agent", self._presence, lost=self._lose)
        every = ANNOUNCE * lease / LEASE
        self._announcer = Announcer(engine, agent_id, name, comfybridge.__version__, self.slots, every=every)
        self._live = LiveFiles()
        self._watched: Watched | None = None
        self._abilities = Abilities()
        self._learned_at = self._looked_at = float("-inf")
        self._runs: dict[str, Run] = {}
        self._has_changed = threading.Condition()
        self._free = self.slots
        self._paused_until = 0.0
        self._stopping = threading.Event()
        self._has_given_up = False
        self._haste = threading.Event()
        self._ends: list[Callable[[], None]] = []
        self._around = Surroundings(
            bridge, engine, self.queue, self._live.keep, self._has_others, lambda: self._has_given_up
        )

    def start(self) -> None:
        """Begin to take jobs, as soon as the engine and a ComfyUI answer.

        Raises:
            EngineUnreachable: it can't be, as where the bridge's own engine can't be started.
        """
        self._begin()
        for name, target in ("takes jobs", self._take), ("tells", self._tick):
            threading.Thread(target=target, name=f"comfybridge {name}", daemon=True).start()

    @property
    def running(self) -> list[str]:
        """The ids of the jobs that it has claimed and not ended yet."""
        with self._has_changed:
            return list(self._runs)

    def leave(self) -> None:
        """Take no more jobs. Does not block."""
        self._stopping.set()
        self.queue.wake()
        with self._has_changed:
            self._has_changed.notify_all()

    @property
    def is_in_haste(self) -> bool:
        """Whether it waits for running jobs no longer."""
        return self._haste.is_set()

    def hurry(self) -> None:
        """Wait no longer for running jobs. May be called by a signal handler."""
        self._haste.set()

    def stop(self, seconds: float) -> None:
        """Take no more jobs, give those that run some time to end, and give back the others.

        Where another agent is left to run those, their prompts are cancelled; otherwise they go on in ComfyUI, where
        this agent finds them after its next start.

        Args:
            seconds: how long to wait for running jobs.
        """
        self.leave()
        until = time.monotonic() + seconds
        while self.running and time.monotonic() < until and not self._haste.wait(LOOK_SECONDS):
            pass
        if self.running:
            keep = not self._has_others({self.id})
            runs = self._list()
            what = "leaving their prompts in ComfyUI" if keep else "for other agents"
            log.warning("Giving back %s, %s.", ", ".join(each.job.id for each in runs), what)
            for each in runs:
                each.leave(keep=keep)
            with self._has_changed:
                self._has_changed.wait_for(lambda: not self._runs, LAST_SECONDS)
        self._has_given_up = True
        self._announcer.goodbye()
        for end in self._ends:
            end()
        self.queue.close()

    # -- taking jobs ---------------------------------------------------------------------------------------------

    def _take(self) -> None:
        while not self._stopping.is_set():
            with self._has_changed:
                self._has_changed.wait_for(lambda: self._free > 0 or self._stopping.is_set())
            try:
                if not self._stopping.is_set() and self._is_fit():
                    self._take_one()
            except Exception:
                log.exception("A bug in the bridge")
                self._stopping.wait(BUSY_SECONDS)

    def _take_one(self) -> None:
        taker = Taker(self.id, self._announcer.session, self.name, self._lacks, self._abilities.hash)
        claimed = self.queue.take(taker, TAKE_SECONDS)
        if claimed is not None:
            self._run(claimed)

    def _begin(self) -> None:
        engine, address = self._engine, f"comfybridge.ask.{self.id}"
        self.queue.start()
        self._watched = Watched(engine)
        self._ends = [
            self._watched.close,
            engine.answer(f"{address}.abilities", lambda *_: self._abilities.to_bytes()),
            engine.listen(f"{address}.release", lambda _, data: self._live.release(data.decode())),
            offer_files(engine, f"{address}.file.*.*", self._live.open),
            offer_files(engine, subject_of_calls(self.id), partial(relayed, self._bridge.servers)),
        ]
        self._announce(is_up=False)  # as far as is known
        self._announcer.start()

    def _run(self, claimed: Claimed) -> None:
        run = Run(claimed, self._around, self._tidings(claimed.job), self._has_run)
        with self._has_changed:
            self._runs[claimed.job.id] = run
            self._free -= 1
        if not self.queue.is_held(claimed.job.id):  # it was cancelled just now
            run.lose()
        self._announce()
        threading.Thread(target=self._work, args=[run], name="comfybridge job", daemon=True).start()

    def _work(self, run: Run) -> None:
        run.work()
        if run.hindrance in ("unreachable", "lacking"):
            self._learned_at = float("-inf")  # so that ComfyUI is asked before the next job
        elif run.hindrance == "busy":
            self._paused_until = time.monotonic() + BUSY_SECONDS
        self._has_run(run)
        with self._has_changed:
            if self._runs.get(run.job.id) is run:
                del self._runs[run.job.id]
            self._has_changed.notify_all()
        self._announce()
        self._log_end(run)

    def _log_end(self, run: Run) -> None:
        job_id = run.job.id
        if run.ended == "given_back" and run.error is None:
            log.info("Job %s is given back, because the agent is being stopped.", job_id)
        elif run.ended == "given_back" and run.error is not None:
            log.warning("Job %s is given back: %s", job_id, own_words(run.error) or run.error.type)
        elif run.ended == "lost":
            log.info("Job %s was cancelled, or another agent has it; its run ends here.", job_id)
        elif self._logs_ends and run.result is not None:
            log_end(run.result)

    def _has_run(self, run: Run) -> None:
        """The slot of a job is free again, though its files may still be on their way."""
        with self._has_changed:
            if run.holds_slot:
                run.holds_slot = False
                self._free += 1
                self._has_changed.notify_all()

    def _lose(self, job_id: str) -> None:
        with self._has_changed:
            run = self._runs.get(job_id)
        if run is not None:
            run.lose()

    def _has_others(self, without: set[str]) -> bool:
        return any(each.id not in without for each in self._presence.living())

    def _list(self) -> list[Run]:
        with self._has_changed:
            return list(self._runs.values())

    # -- what its ComfyUIs can run -------------------------------------------------------------------------------

    def _lacks(self, job: Job) -> str | None:
        return self._abilities.lacking(job.classes, job.models)

    def _is_fit(self) -> bool:
        """Whether a ComfyUI answers; waits a while if none does."""
        now = time.monotonic()
        if now < self._paused_until:
            self._stopping.wait(self._paused_until - now)
            return False
        age = now - self._learned_at
        if age < KNOWN_SECONDS:
            if now - self._looked_at < RECENT_SECONDS:
                return True
            self._looked_at = now
            if not self._jobs_lack_something():
                return True
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                self._abilities = abilities_of(self._bridge.servers, Deadline(ABILITIES_SECONDS))
            except BridgeError as error:
                if pause == FIRST_PAUSE:
                    log.warning("The agent takes no jobs: %s", error.message)
                self._announce(is_up=False)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if pause != FIRST_PAUSE:
                log.warning("ComfyUI is back; the agent takes jobs again.")
            self._learned_at = self._looked_at = time.monotonic()
            self._announce(is_up=True)
            return True
        return False

    def _jobs_lack_something(self) -> bool:
        """Whether a job waits that cannot run here, as far as is known."""
        return any(not each.is_running and self._lacks(each.job) for each in self.queue.board.open())

    def _announce(self, is_up: bool | None = None) -> None:
        told: dict[str, Any] = {"running": self.running}
        if is_up is not None:
            told["servers"] = {server.url: is_up and server.is_up for server in self._bridge.servers.all}
            told["abilities_hash"] = self._abilities.hash
        figures = [each.figures for each in self._bridge.servers.all]
        means = [each.mean_seconds for each in figures if each.mean_seconds is not None]
        if means:
            told["mean_seconds"] = sum(means) / len(means)
        self._announcer.update(**told)

    # -- telling -------------------------------------------------------------------------------------------------

    def _tidings(self, job: Job) -> Tidings:
        watched = self._watched
        assert watched is not None  # once a job is claimed
        return Tidings(self._engine, job.id, lambda: job.is_followed or watched.has(job.id))

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS) or self.running:
            for each in self._list():
                try:
                    each.tick()
                except Exception:
                    log.exception("A bug in the bridge")
            if self._has_given_up:
                return
