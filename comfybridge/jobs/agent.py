"""An agent: takes jobs from the queue, and runs them on the ComfyUIs of its bridge."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

import comfybridge
from comfybridge.bridge import Bridge
from comfybridge.engine.engine import Engine
from comfybridge.engine.remote_files import offer_files
from comfybridge.jobs.endings import log_end
from comfybridge.jobs.fitness import Fitness
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
LOOK_SECONDS = 0.2
LIVE_SECONDS = 10.0  # for bridges to read the files of live jobs
LAST_SECONDS = 5.0  # to give back what does not end in time


class Agent:
    """Runs jobs until it is stopped. Methods may be called by any thread.

    Args:
        agent_id: the same after each start of the same agent.
        name: for people.
        slots: how many jobs run at once; None: one for each ComfyUI.
        logs_ends: whether to log how each job has ended; the bridge does so too.
        lease: seconds without a sign after which another agent is dead.
        queue: that of the bridge in this process; None: one of its own.
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
        queue: JobQueue | None = None,
    ) -> None:
        self.id = agent_id
        self.name = name
        self.slots = slots or len(bridge.servers.all)
        self._bridge = bridge
        self._engine = engine
        self._logs_ends = logs_ends
        self._owns_queue = queue is None
        self.queue = queue or JobQueue(engine, "agent", Presence(engine, lease=lease))
        self.queue.serve(self._lose, self._cancel)
        self._presence = self.queue.presence
        every = ANNOUNCE * lease / LEASE
        self._announcer = Announcer(engine, agent_id, name, comfybridge.__version__, self.slots, every=every)
        self._live = LiveFiles()
        self._watched: Watched | None = None
        self._fitness = Fitness(bridge.servers, is_alone=not engine.is_chosen, announce=self._announce_servers)
        self._runs: dict[str, Run] = {}
        self._has_changed = threading.Condition()
        self._free = self.slots
        self._paused_until = 0.0
        self._stopping = threading.Event()
        self._over = threading.Event()
        self._haste = threading.Event()
        self._ends: list[Callable[[], None]] = []
        self._around = Surroundings(
            bridge, engine, self.queue, self._live.keep, self._is_left_to_others, self._over.is_set
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
        until = time.monotonic() + min(seconds, LIVE_SECONDS)
        while not self._live.is_empty and time.monotonic() < until and not self._haste.wait(LOOK_SECONDS):
            pass
        self._over.set()
        self._announcer.goodbye()
        for end in self._ends:
            end()
        if self._owns_queue:
            self.queue.close()

    # -- taking jobs ---------------------------------------------------------------------------------------------

    def _take(self) -> None:
        while not self._stopping.is_set():
            with self._has_changed:
                self._has_changed.wait_for(lambda: self._free > 0 or self._stopping.is_set())
            try:
                self._stopping.wait(max(0.0, self._paused_until - time.monotonic()))
                if not self._stopping.is_set() and self._fitness.wait(self._stopping):
                    self._take_one()
            except Exception:
                log.exception("A bug in the bridge")
                self._stopping.wait(BUSY_SECONDS)

    def _take_one(self) -> None:
        taker = Taker(self.id, self._announcer.session, self.name, self._fitness.lacks, self._fitness.abilities.hash)
        claimed = self.queue.take(taker, TAKE_SECONDS)
        if claimed is not None:
            self._run(claimed)

    def _begin(self) -> None:
        engine, address = self._engine, f"comfybridge.ask.{self.id}"
        if self._owns_queue:
            self.queue.start()
        self._watched = Watched(engine, self._show)
        self._ends = [
            self._watched.close,
            engine.answer(f"{address}.abilities", lambda *_: self._fitness.abilities.to_bytes()),
            engine.listen(f"{address}.release", lambda _, data: self._live.release(data.decode())),
            offer_files(engine, f"{address}.file.*.*", self._live.open),
            offer_files(engine, subject_of_calls(self.id), partial(relayed, self._bridge.servers)),
        ]
        self._announce_servers(False)  # as far as is known
        self._announcer.start()

    def _run(self, claimed: Claimed) -> None:
        run = Run(claimed, self._around, self._tidings(claimed.job), self._has_run)
        with self._has_changed:
            self._runs[claimed.job.id] = run
            self._free -= 1
        if not self.queue.is_held(claimed.job.id):  # it was lost just now
            run.lose()
        if self.queue.is_cancelled(claimed.job.id):
            run.cancel()
        self._announce()
        threading.Thread(target=self._work, args=[run], name="comfybridge job", daemon=True).start()

    def _work(self, run: Run) -> None:
        run.work()
        if run.hindrance in ("unreachable", "lacking"):
            self._fitness.doubt()
        elif run.hindrance == "busy":
            self._paused_until = time.monotonic() + BUSY_SECONDS
        self._has_run(run)
        if run.ended == "lost":
            self.queue.let_go(run.claimed)
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
        elif run.ended == "given_back" and run.hindrance != "busy" and run.error is not None:
            log.warning("Job %s is given back: %s", job_id, own_words(run.error) or run.error.type)
        elif run.ended == "lost":
            log.info("Job %s has ended, or another agent has it; its run ends here.", job_id)
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

    def _cancel(self, job_id: str) -> None:
        with self._has_changed:
            run = self._runs.get(job_id)
        if run is not None:
            run.cancel()

    def _show(self, job_id: str) -> None:
        with self._has_changed:
            run = self._runs.get(job_id)
        if run is not None:
            run.tidings.show()

    def _has_others(self, without: set[str]) -> bool:
        return any(each.id not in without for each in self._presence.living())

    def _is_left_to_others(self, without: set[str]) -> bool:
        if self._engine.is_chosen and not self._has_others(without):
            self._presence.settle()  # they may not have been heard yet
        return self._has_others(without)

    def _waiting(self) -> list[Job]:
        return [each.job for each in self.queue.board.open() if not each.is_running]

    def _list(self) -> list[Run]:
        with self._has_changed:
            return list(self._runs.values())

    # -- telling -------------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        figures = [each.figures for each in self._bridge.servers.all]
        means = [each.mean_seconds for each in figures if each.mean_seconds is not None]
        self._announcer.update(running=self.running, mean_seconds=sum(means) / len(means) if means else None)

    def _announce_servers(self, is_up: bool) -> None:
        servers = {server.url: is_up and server.is_up for server in self._bridge.servers.all}
        self._announcer.update(servers=servers, abilities_hash=self._fitness.abilities.hash)

    def _tidings(self, job: Job) -> Tidings:
        watched = self._watched
        assert watched is not None  # once a job is claimed
        return Tidings(self._engine, job.id, lambda: job.is_followed or watched.has(job.id))

    def _tick(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            try:
                for each in self._list():
                    each.tick()
                self._fitness.look(self._waiting, is_idle=not self.running)
            except Exception:
                log.exception("A bug in the bridge")
