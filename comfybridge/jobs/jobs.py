"""Jobs: requests that are queued in the engine, run by an agent, and answered later.

Nothing is started or connected before the first job, unless there are jobs from before or an engine was chosen.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.errors import (
    BridgeError,
    EngineUnreachable,
    UnknownPrompt,
)
from comfybridge.jobs.accepting import (
    Coming,
    OnlyOnce,
    Room,
    add,
    check_same,
    eta_of,
    fingerprint_of_job,
    first_with_its_key,
    job_of,
)
from comfybridge.jobs.embedded import EmbeddedAgent
from comfybridge.jobs.endings import log_end
from comfybridge.jobs.graphs import kept_graph, sent_graph
from comfybridge.jobs.job import Result
from comfybridge.jobs.kept_files import kept_generation, kept_output
from comfybridge.jobs.lists import Page, page_of, place_in
from comfybridge.jobs.news import News
from comfybridge.jobs.parts import HEARING_SECONDS, JOB_ID, Parts, is_over
from comfybridge.jobs.presence import Agent, Presence
from comfybridge.jobs.queue import JobQueue
from comfybridge.jobs.states import State, Wishes, open_state
from comfybridge.jobs.watching import Watching
from comfybridge.jobs.webhooks import Webhooks
from comfybridge.policy.rights import Turn
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.known import Unfinished
from comfybridge.prompts.repeats import prompt_id_of
from comfybridge.request import Generation, KeptFile, Output, OutputOptions

LOOK_SECONDS = 1.0  # between two looks at whether a caller has left
CANCEL_PATIENCE = 3.0  # seconds for ComfyUI to say what became of a job that runs; a step may take as long
AWAY_SECONDS = 5.0  # for which a question that only the engine can answer is held while it is away
AWAY_PAUSE = 0.2
READY_SECONDS = 2.0  # for the mirror to know all jobs that the engine has
RETRY_SECONDS = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Figures:
    """The jobs and agents as they are now.

    Attributes:
        counts: how many kept jobs there are in each state, `queued` and `running`.
        oldest: seconds for which the oldest waiting job has waited; None if none waits.
        agents: those that live.
    """

    counts: Mapping[str, int]
    oldest: float | None
    agents: tuple[Agent, ...]


class Jobs:
    """The jobs of a bridge, in one process of it. Safe to share between threads.

    Attributes:
        write_hook: makes the body of a webhook, from how its job ended.
        told_end: called with the result of each job that has ended, in one process of all.
        told_try: called with the outcome of each try of a webhook that this process makes.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._engine = Engine(bridge.settings, bridge.state)
        self._parts: Parts | None = None
        self._is_closed = False
        self._starting = threading.Lock()
        self._room = Room()
        self._coming = Coming()
        self._is_leaving = threading.Event()
        self.write_hook: Callable[[Result], bytes] = lambda result: result.to_bytes()
        self.told_end: Callable[[Result], None] = lambda _: None
        self.told_try: Callable[[str], None] = lambda _: None

    def begin(self) -> None:
        """Go on with what is there, at a server's start: an engine that was chosen, or jobs from before."""
        if self.is_used:
            with contextlib.suppress(EngineUnreachable):  # it is tried again at the first request for a job
                self.parts().agent.begin()

    @property
    def has_chosen_engine(self) -> bool:
        """Whether the settings name an engine."""
        return self._engine.is_chosen

    @property
    def is_used(self) -> bool:
        """Whether there are jobs, or may be: an engine was chosen, or there were jobs before."""
        return self._parts is not None or self._engine.is_chosen or self._engine.is_wanted_at_start()

    @property
    def is_leaving(self) -> bool:
        """Whether the process is about to end, so that callers who wait for a job should ask again."""
        return self._is_leaving.is_set()

    def leave(self) -> None:
        """Begin no further jobs, and let callers who wait for one go. May be called twice."""
        self._is_leaving.set()
        parts = self._parts
        if parts is not None:
            parts.agent.leave()

    def close(self) -> None:
        """Stop, at a server's end. Jobs that run are given back, and go on elsewhere or after the restart."""
        with self._starting:
            self._is_closed = True
            parts, self._parts = self._parts, None
        if parts is not None:
            for each in (parts.agent, parts.webhooks, parts.news, parts.queue, parts.engine):
                each.close()

    def parts(self) -> Parts:
        """What runs once there are jobs, started if need be.

        Raises:
            EngineUnreachable
        """
        with self._starting:
            if self._is_closed:
                raise EngineUnreachable("The bridge is shutting down.", retry_after=RETRY_SECONDS)
            if self._parts is None:
                self._parts = self._started()
            return self._parts

    # -- one job -------------------------------------------------------------------------------------------------

    def submit(self, admitted: Admitted, wishes: Wishes, *, is_single_use: bool = False) -> State:
        """Queue a request as a job. Returns once the engine has it on disk.

        Args:
            is_single_use: whether a second request with its idempotency key is refused for a day, even the same one.

        Returns:
            The job; with an idempotency key, the first that came with it.

        Raises:
            BridgeError: what `Bridge.submit` would refuse, as far as it shows without queueing.
            Forbidden: its owner may not ask for that priority, or for a webhook.
            IdempotencyConflict: the key was used for another request.
            Busy: too many jobs wait, or the disk is full; nothing was stored.
            EngineUnreachable: nothing was stored.
        """
        bridge, rights = self._bridge, admitted.rights
        bridge.under_way.check_goes_on()
        if rights is not None:
            rights.check_job(wishes.priority, has_webhook=wishes.webhook is not None)
        if not self.is_used:
            bridge.check(admitted)  # no engine is started for a request that can't work
        parts = self._ready()
        has_key = admitted.asked.idempotency_key is not None
        once = OnlyOnce.of(admitted) if is_single_use else None
        if once is not None:
            admitted = once.admitted
        fingerprint = fingerprint_of_job(admitted.fingerprint, wishes)
        admitted = replace(admitted, prompt_id=prompt_id_of(admitted), fingerprint=fingerprint)
        admitted.trace.prompt_id = job_id = str(admitted.prompt_id)
        with self._coming.alone(once):
            if once is not None:
                once.check_earlier(parts.board)
            if not has_key or first_with_its_key(parts.board, admitted) is None:
                return self._add(parts, admitted, wishes)
        return self.find(job_id, None)

    def _add(self, parts: Parts, admitted: Admitted, wishes: Wishes) -> State:
        board, rights = parts.board, admitted.rights
        job = job_of(self._bridge, admitted, wishes)
        turn = Turn(rights)
        turn.take()
        try:
            with self._room.for_one_more(board, rights, admitted.owner, partial(eta_of, parts.presence, 0)):
                add(self._bridge, parts.engine, parts.queue, job, admitted)
                board.wait(job.id, lambda: board.knows(job.id), HEARING_SECONDS)
        except BridgeError:
            turn.give_back()
            raise
        parts.agent.need()
        return open_state(job, None)

    def check_repeat(self, admitted: Admitted) -> None:
        """Refuse a request that is about to run with the idempotency key, and so the prompt id, of an open job.

        Asks nobody.

        Raises:
            IdempotencyConflict: the job asked for something else, and would find this prompt in its place.
        """
        parts = self._parts
        if parts is not None and admitted.asked.idempotency_key is not None:
            entry = parts.board.entry(prompt_id_of(admitted))
            if entry is not None:
                check_same(entry.job, admitted)

    def find(self, job_id: str, owner: str | None) -> State:
        """A job as it is now; while the engine is away, as it was last known.

        Args:
            owner: whose job it must be; None: anybody's.

        Raises:
            UnknownPrompt: there is no such job, or not any more.
            EngineUnreachable: nothing is known of it, and the engine was away for some seconds.
        """
        return self._find(job_id, owner, AWAY_SECONDS)

    def _find(self, job_id: str, owner: str | None, seconds: float) -> State:
        state = self._asked(lambda parts: parts.find(job_id, surely=True), seconds) if self.is_used else None
        if state is None or (owner is not None and state.owner != owner):
            said = "There is no job of that id, or its result is no longer kept."
            raise UnknownPrompt(said, prompt_id=job_id if JOB_ID.fullmatch(job_id) else None)
        return state

    def known(self, job_id: str, owner: str | None) -> State | None:
        """A job as it is now; None if there is none. Asks nobody where no jobs were queued."""
        if not self.is_used:
            return None
        try:
            return self._find(job_id, owner, 0.0)
        except (UnknownPrompt, EngineUnreachable):
            return None

    def _asked(self, ask: Callable[[Parts], T], seconds: float) -> T:
        """What the engine answers, if it does so within that many seconds."""
        parts, until = self._ready(), time.monotonic() + seconds
        while True:
            try:
                return ask(parts)
            except EngineUnreachable:
                if time.monotonic() >= until or self._is_leaving.wait(AWAY_PAUSE):
                    raise

    def wait(self, job_id: str, seconds: float, has_left: Callable[[], bool] = lambda: False) -> State:
        """A job once it has ended, or after that many seconds, or soon after the process is about to end.

        Args:
            has_left: returns whether nobody waits any more; asked once a second.

        Raises:
            UnknownPrompt, EngineUnreachable
        """
        board, until = self._ready().board, time.monotonic() + seconds
        while not has_left() and not self.is_leaving:
            left = until - time.monotonic()
            if board.wait(job_id, lambda: board.entry(job_id) is None, min(left, LOOK_SECONDS)) or left <= 0:
                state = self.find(job_id, None)
                if state.has_ended or left <= 0:
                    return state  # otherwise the mirror had not heard of the job before
        return self.find(job_id, None)

    def graph(self, state: State) -> dict[str, Any] | None:
        """The graph of a job: as it ran, or as it was sent if it has not ended; None if it is not kept.

        Raises:
            EngineUnreachable
        """
        if state.result is not None:
            return kept_graph(self._engine, state.result)
        return self._asked(lambda parts: _sent_graph(parts, state.id), AWAY_SECONDS)

    @contextlib.contextmanager
    def watch(self, job_id: str, pause: float = 0.0) -> Iterator[Watching]:
        """Follow what happens to a job.

        Args:
            pause: seconds between two events of progress, and between two previews.

        Raises:
            EngineUnreachable
        """
        parts = self._ready()

        def find() -> State:
            return parts.find(job_id) or self.find(job_id, None)

        watching = Watching(job_id, parts.engine, parts.board, find, pause)
        try:
            yield watching
        finally:
            watching.close()

    def cancel(self, job_id: str, owner: str | None, *, patience: float = CANCEL_PATIENCE) -> tuple[State, State]:
        """Cancel a job, unless it has ended. One that runs ends as ComfyUI says: it may just have succeeded.

        Args:
            patience: for how many seconds ComfyUI may say so; after that the job is still being cancelled.

        Returns:
            Its states before and after; twice the same if it ended in another way.

        Raises:
            UnknownPrompt, EngineUnreachable
        """
        before = self.find(job_id, owner)
        if before.has_ended:
            return before, before
        parts = self._ready()
        if not parts.queue.cancel(job_id):
            raise UnknownPrompt("The job is no longer known.", prompt_id=job_id)

        def is_heard() -> bool:
            entry = parts.board.entry(job_id)
            return entry is None or entry.is_cancelled

        parts.board.wait(job_id, is_heard, HEARING_SECONDS)  # however short the patience, the answer is true
        parts.board.wait(job_id, lambda: parts.board.entry(job_id) is None, patience)
        after = self.find(job_id, owner)
        return (before if after.status in ("cancelled", "cancelling") else after), after

    def generation(self, result: Result, options: OutputOptions, deadline: Deadline) -> Generation:
        """What a job has made. Its files are fetched when they are read.

        Raises:
            UnknownPrompt: it is no longer kept; what became of a webhook is kept for longer.
            BridgeError: of the request of a blocking caller, whose files only ComfyUI still has, as
                `Prompts.find` and `Prompts.collect` raise.
        """
        if is_over(result):
            raise UnknownPrompt("The result of the job is no longer kept.", prompt_id=result.id)
        if result.kind == "live":
            prompts = self._bridge.prompts
            found = prompts.find(result.id, deadline, None, has_ended=True)
            if not isinstance(found, Unfinished):
                return prompts.collect(found, options, deadline)
            raise UnknownPrompt("ComfyUI does not know yet that the prompt has ended.", prompt_id=result.id)
        return kept_generation(self._engine, result, deadline, options)

    def output(self, kept: KeptFile, deadline: Deadline) -> Output:
        """One of a job's files.

        Raises:
            UnknownPrompt: the result of the job is no longer kept.
            EngineUnreachable
        """
        result = self._ready().board.result(kept.job_id) if self.is_used else None
        if result is None:
            raise UnknownPrompt("The result of the job is no longer kept.", prompt_id=kept.job_id)
        return kept_output(self._engine, result, kept, deadline)

    def is_read(self, blob_id: str) -> bool:
        """Whether a job that has not ended has an upload in the engine as an input file.

        Raises:
            EngineUnreachable
        """
        return any(blob_id in each.job.reads for each in self._ready().board.open())

    # -- all of them ---------------------------------------------------------------------------------------------

    def page(
        self,
        owner: str | None,
        *,
        status: Collection[str] = (),
        labels: Collection[tuple[str, str]],
        cursor: str | None,
        limit: int,
    ) -> Page:
        """Kept jobs, the newest first.

        Args:
            owner: whose jobs; None: everybody's.
            status: only jobs of one of these; none given: of any.
            labels: names and values, all of which a job must have.
            cursor: `next_cursor` of the page before.

        Raises:
            InvalidRequest: the cursor is none.
            EngineUnreachable
        """
        if not self.is_used:
            if cursor is not None:
                place_in(cursor)  # a wrong one is refused here too
            return Page([], None)
        parts = self._ready()
        return page_of(parts.board, parts.find, owner, status=status, labels=labels, cursor=cursor, limit=limit)

    def waiting(self, owner: str | None) -> list[State]:
        """The jobs that wait, the next one first. Starts nothing.

        Args:
            owner: whose jobs; None: everybody's.
        """
        parts = self._parts
        if parts is None:
            return []
        entries = [each for each in parts.board.open() if each.state == "queued" and owner in (None, each.job.owner)]
        states = [parts.state_of(each) for each in entries]
        return sorted(states, key=lambda each: each.position or 0)

    def figures(self) -> Figures | None:
        """The jobs and agents as they are now; None where there were no jobs. Starts nothing."""
        parts = self._parts
        if parts is None:
            return None
        counts = {state: count for (kind, state), count in parts.board.counts().items() if kind == "kept"}
        return Figures(counts, parts.board.oldest(), tuple(parts.presence.living()))

    # -- its parts -----------------------------------------------------------------------------------------------

    def _started(self) -> Parts:
        bridge, engine = self._bridge, self._engine
        presence = Presence(engine)
        queue = JobQueue(
            engine, "bridge", presence, most_open=bridge.settings.max_jobs, cleared=lambda result: self._ended(result)
        )
        queue.start()
        news = News(engine, queue.board)
        webhooks = Webhooks(
            engine, bridge.settings, lambda result: self.write_hook(result), lambda outcome: self.told_try(outcome)
        )
        webhooks.start()
        return Parts(engine, queue, presence, news, webhooks, EmbeddedAgent(bridge, engine, queue))

    def _ready(self) -> Parts:
        parts = self.parts()
        if parts.queue.wait_until_ready(0):
            return parts
        parts.check_engine()
        if not parts.queue.wait_until_ready(READY_SECONDS):
            raise EngineUnreachable("The engine, which keeps the jobs, does not answer.", retry_after=RETRY_SECONDS)
        return parts

    def _ended(self, result: Result) -> None:
        log_end(result)
        self.told_end(result)


def _sent_graph(parts: Parts, job_id: str) -> dict[str, Any] | None:
    entry = parts.board.entry(job_id)
    try:
        return None if entry is None else sent_graph(parts.queue.request_of(entry.job))
    except LookupError:  # it has just ended
        result = parts.board.result(job_id)
        return None if result is None else kept_graph(parts.engine, result)
