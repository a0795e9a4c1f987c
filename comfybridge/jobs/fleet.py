"""Blocking requests through a fleet of agents, for a bridge without a ComfyUI of its own.

Each is a live job: in the engine's memory only, because its caller still holds the request. If the engine loses it,
it is published again under its id. Requests whose results must outlast the answer are kept jobs, and waited for.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from comfybridge.bridge import Bridge
from comfybridge.engine.remote_files import read_file
from comfybridge.errors import BridgeError, ComfyUIUnreachable, EngineUnreachable, Interrupted, ShuttingDown, TimedOut
from comfybridge.jobs.accepting import add, eta_of, first_with_its_key, job_of
from comfybridge.jobs.agent_servers import NO_AGENT, NOT_REACHED, RETRY_SECONDS
from comfybridge.jobs.arrivals import Arrivals, Arrived
from comfybridge.jobs.errors import error_from_dict
from comfybridge.jobs.events import event_from_bytes
from comfybridge.jobs.headed import Headed
from comfybridge.jobs.job import Job, Result
from comfybridge.jobs.jobs import Jobs
from comfybridge.jobs.kept_files import kept_generation
from comfybridge.jobs.parts import Parts
from comfybridge.jobs.results import generation_of
from comfybridge.jobs.states import Wishes
from comfybridge.jobs.waiting import JobWait
from comfybridge.jobs.watching import EVENTS, WATCHING
from comfybridge.policy.rights import Turn
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.giving_up import CANCELLED, Abandoned
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.prompts.repeats import prompt_id_of
from comfybridge.prompts.submission import Place
from comfybridge.prompts.telling import Teller
from comfybridge.prompts.under_way import STOPPED
from comfybridge.request import Generation, Timings
from comfybridge.settings import Settings

ENGINE_SECONDS = 2.0  # for the engine to answer, where it does not
AGENT_SECONDS = 3.0  # for an agent to appear, where none is there
GONE_SECONDS = 60.0  # without an agent that can run a request, until it is given up; a cut of a minute costs none
LOOK_SECONDS = 1.0  # of silence, after which it is looked whether the engine still has the job
PLACE_SECONDS = 0.5  # for the mirror to know a job that was just stored
LATE_SECONDS = 10.0  # the bridge ends a job whose time is up; its agent does where the bridge has died
LIVE_SECONDS = 600.0  # for which the record of a live job is kept


class Fleet:
    """Runs requests by way of jobs. Safe to share between threads.

    Args:
        bridge: admits them, and limits how many there are.
    """

    def __init__(self, bridge: Bridge, jobs: Jobs) -> None:
        self._bridge = bridge
        self._jobs = jobs
        self._arrivals = Arrivals()

    @property
    def settings(self) -> Settings:
        """Those of the bridge."""
        return self._bridge.settings

    def abandon(self, admitted: Admitted) -> None:
        """As `Bridge.abandon`."""
        self._bridge.abandon(admitted)

    def generating(self, admitted: Admitted) -> contextlib.AbstractContextManager[Generation]:
        """As `Bridge.generating`; besides, it may raise EngineUnreachable."""
        return self.telling(admitted, Teller(lambda _: None, is_followed=False))

    @contextlib.contextmanager
    def telling(self, admitted: Admitted, teller: Teller) -> Iterator[Generation]:
        """As `Bridge.telling`; besides, it may raise EngineUnreachable."""
        self._bridge.under_way.check_goes_on()
        place, turn = Place(self._bridge.slots), Turn(admitted.rights)
        with contextlib.ExitStack() as held:
            held.callback(place.leave)
            with self._bridge.under_way.queueing(admitted):
                request = self._begun(admitted, teller, turn, held)
            result = request.outcome()
            place.leave_server(time.monotonic() - request.queued_at)  # it has run: that counts for the estimates
            yield request.generation(result)

    def _begun(self, admitted: Admitted, teller: Teller, turn: Turn, held: contextlib.ExitStack) -> _Request:
        parts = self._jobs.parts()
        self._wait_for_agent(parts, admitted)
        own = replace(admitted, prompt_id=prompt_id_of(admitted))
        asked = admitted.asked
        job = job_of(self._bridge, own, Wishes())
        if asked.outlasts_its_time:
            job = replace(job, timeout=self.settings.job_expires)  # it goes on when its caller's time is up
        elif not asked.output.links:
            job = replace(job, kind="live", expires=LIVE_SECONDS)
            is_followed, inbox = teller.is_followed or admitted.has_previews, self._arrivals.inbox(parts.engine)
            job = replace(job, is_followed=is_followed, inbox=inbox)
        if parts.skills.lacking(job, parts.engine, parts.presence.living()) is not None:
            job = replace(job, classes=(), models=())  # any agent may try, and says best what is wrong
        wait = JobWait(admitted, job.id, partial(parts.news.progress_of, job.id))
        request = _Request(self._bridge, parts, job, own, wait, teller, self._arrivals.of(job.id))
        held.callback(request.close)
        request.begin(turn)
        self._bridge.under_way.add(wait)
        held.callback(self._bridge.under_way.remove, wait)
        return request

    def _wait_for_agent(self, parts: Parts, admitted: Admitted) -> None:
        """Wait a little for the engine and an agent, where they are not there.

        Raises:
            EngineUnreachable, ComfyUIUnreachable
        """
        began, deadline = time.monotonic(), admitted.deadline
        while True:
            is_connected = parts.engine.is_connected and parts.queue.wait_until_ready(0)
            agents = parts.presence.living()
            if is_connected and any(any(each.servers.values()) for each in agents):
                return
            waited = time.monotonic() - began
            if not is_connected and (waited >= ENGINE_SECONDS or deadline.passed):
                said = "The engine, through which the agents are reached, does not answer."
                raise EngineUnreachable(parts.engine.hindrance or said)
            if waited >= AGENT_SECONDS or deadline.passed:
                said = NOT_REACHED if agents else NO_AGENT
                raise ComfyUIUnreachable(said, retry_after=RETRY_SECONDS)
            time.sleep(0.02)


class _Request:
    """One request on its way through the fleet."""

    def __init__(
        self,
        bridge: Bridge,
        parts: Parts,
        job: Job,
        admitted: Admitted,
        wait: JobWait,
        teller: Teller,
        arrived: Arrived,
    ) -> None:
        self.queued_at = time.monotonic()
        self._bridge = bridge
        self._parts = parts
        self._job = job
        self._admitted = admitted
        self._wait = wait
        self._teller = teller
        self._arrived = arrived
        self._listens = False
        self._told_watching = 0.0
        self._ends = [arrived.end, parts.board.changes(wait.hear_change, job.id)]
        self._reads_from: str | None = None  # the agent that keeps the files meanwhile
        self._alone_since: float | None = None  # since when no agent can run it; None if one can

    def begin(self, turn: Turn) -> None:
        """Store the job, unless it is a repeat of one that is stored, and tell that it is queued."""
        engine, board, job = self._parts.engine, self._parts.board, self._job
        if self._teller.is_followed or self._admitted.has_previews:
            self._listens = True
            self._ends.append(engine.listen(EVENTS + job.id, self._hear))
        known = None if job.fingerprint is None else first_with_its_key(board, self._admitted)
        if isinstance(known, Result):
            self._wait.hear_change(job.id, "ended")  # nobody else tells it
        elif known is None:
            turn.take()
            try:
                self._add()
            except BridgeError:
                turn.give_back()
                raise
        self._admitted.trace.prompt_id = job.id
        self._tell_queued()

    def outcome(self) -> Result:
        """How the job ends.

        Raises:
            BridgeError: it was given up: its time is up, its caller is gone, or the bridge ends.
        """
        deadline, board, job_id = self._admitted.deadline, self._parts.board, self._job.id
        while True:
            self._keep_watching()
            try:
                is_news = self._wait.next(min(LOOK_SECONDS, deadline.remaining()))
            except BridgeError as error:
                raise self._given_up(error) from None
            if board.entry(job_id) is None:
                with contextlib.suppress(EngineUnreachable):
                    result = board.result(job_id)
                    if result is not None:
                        return result
                    if not is_news and not deadline.passed and self._is_lost():
                        self._add()
            if deadline.passed:
                raise self._too_late()
            why = self._why_left()
            if why is not None:
                raise self._given_up(ComfyUIUnreachable(why, prompt_id=job_id, retry_after=RETRY_SECONDS))

    def generation(self, result: Result) -> Generation:
        """What the job has made; raises the error that it ended with."""
        trace, admitted, job = self._admitted.trace, self._admitted, self._job
        trace.server = result.agent
        if result.error is not None:
            error = error_from_dict(result.error)
            error.prompt_id = error.prompt_id or job.id
            raise error
        if result.generation is None:
            raise Interrupted("The prompt was cancelled.", prompt_id=job.id)
        options, deadline, engine = admitted.asked.output, admitted.deadline, self._parts.engine
        if result.kind == "kept":
            generation = kept_generation(engine, result, deadline, options)
        else:
            self._reads_from = result.agent_id
            generation = generation_of(result, partial(self._open_live, result.generation["run"]), deadline, options)
        now, executing = time.monotonic(), generation.timings.executing
        queued = None if executing is None else max(0.0, now - self.queued_at - executing)
        generation.started = deadline.started
        generation.timings = trace.timings = Timings(queued, executing, now - deadline.started)
        trace.ran_at, trace.params = now, generation.params
        return generation

    def close(self) -> None:
        """Hear of the job no longer, and let its agent forget its files."""
        for end in self._ends:
            end()
        if self._reads_from is not None:
            self._parts.engine.tell(f"comfybridge.ask.{self._reads_from}.release", self._job.id.encode())

    # -- its parts -----------------------------------------------------------------------------------------------

    def _is_lost(self) -> bool:
        """Whether the engine has lost the job, in a restart, and no agent runs it that will hand in its result."""
        agents = self._parts.presence.living()
        return self._job.kind == "live" and not any(self._job.id in each.running for each in agents)

    def _why_left(self) -> str | None:
        """Why no agent has been able to run the request for a while, unless its results are to be kept."""
        parts, now = self._parts, time.monotonic()
        why = self._hindrance() if self._job.kind == "live" and parts.engine.is_connected else None
        if why is None:
            self._alone_since = None
            return None
        if self._alone_since is None:
            self._alone_since = now
        return why if now - self._alone_since >= GONE_SECONDS else None

    def _hindrance(self) -> str | None:
        entry = self._parts.board.entry(self._job.id)
        if not self._parts.presence.living():
            return NO_AGENT
        return None if entry is None or entry.state != "queued" else self._parts.hindrance(entry)

    def _open_live(self, run: str, number: int) -> Headed:
        data = self._arrived.files.get((run, number))
        if data is not None:
            return Headed(iter([data]))
        subject = f"comfybridge.ask.{self._reads_from}.file.{self._job.id}.{number}"
        return Headed(read_file(self._parts.engine, subject))

    def _add(self) -> None:
        seconds = self._admitted.deadline.remaining() + LATE_SECONDS
        job = self._job if self._job.kind == "kept" else replace(self._job, timeout=seconds)
        add(self._bridge, self._parts.engine, self._parts.queue, job, self._admitted)

    def _tell_queued(self) -> None:
        board, job_id = self._parts.board, self._job.id
        if not self._teller.is_followed:
            self._teller.tell(Queued(job_id, None))
            return
        board.wait(job_id, lambda: board.entry(job_id) is not None, PLACE_SECONDS)
        before = board.position(job_id)
        position = 0 if before is None else before + 1
        self._teller.tell(Queued(job_id, position, eta_of(self._parts.presence, position)))

    def _hear(self, _: str, data: bytes) -> None:
        heard = event_from_bytes(data)
        self._wait.note(heard)
        if self._teller.is_followed and isinstance(heard, (Progress, Preview)):
            self._teller.tell(heard)

    def _keep_watching(self) -> None:
        """Have the agent tell of events, of a job that does not say so itself."""
        now = time.monotonic()
        if self._listens and not self._job.is_followed and now - self._told_watching >= 2 * LOOK_SECONDS:
            self._told_watching = now
            self._parts.engine.tell(WATCHING + self._job.id, b"")

    def _given_up(self, error: BridgeError) -> BridgeError:
        """The error for a request that another thread has given up; its job is cancelled unless it is to be kept."""
        keep = self._admitted.asked.outlasts_its_time and isinstance(error, (Abandoned, ShuttingDown))
        if not keep:
            self._cancel()
        if isinstance(error, ShuttingDown):
            fate = "is kept, and its results can be fetched later" if keep else "was cancelled"
            return ShuttingDown(f"{STOPPED}; the prompt {fate}.", prompt_id=self._job.id, retry_after=5)
        return error

    def _too_late(self) -> TimedOut:
        sentence = f"The prompt did not finish within {self._admitted.deadline.seconds:g} s"
        if self._admitted.asked.outlasts_its_time:
            return TimedOut(f"{sentence}; it is kept in the queue.", prompt_id=self._job.id)
        return TimedOut(f"{sentence}; it {self._cancel()}.", prompt_id=self._job.id)

    def _cancel(self) -> str:
        """Cancel the job, if the engine answers; returns what that means for its prompt."""
        entry = self._parts.board.entry(self._job.id)
        was = "gone" if entry is None else "running" if entry.is_running else "pending"
        try:
            if not self._parts.queue.cancel(self._job.id) and self._job.kind == "live":
                self._add()  # the engine has lost it: its agent hears of the end of a job that is there
                self._parts.queue.cancel(self._job.id)
        except EngineUnreachable:
            return "could not be cancelled: the engine does not answer"
        return CANCELLED[was]
