"""Jobs: requests that are queued in the engine, run by an agent, and answered later.

Nothing is started or connected before the first job, unless there are jobs from before or an engine was chosen.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.durations import whole_seconds
from comfybridge.engine.engine import Engine, Full
from comfybridge.errors import (
    BridgeError,
    Busy,
    EngineUnreachable,
    FileUnusable,
    IdempotencyConflict,
    Interrupted,
    UnknownPrompt,
)
from comfybridge.jobs.board import Board, Entry
from comfybridge.jobs.embedded import EmbeddedAgent
from comfybridge.jobs.job import Job, Result
from comfybridge.jobs.lists import Page, page_of
from comfybridge.jobs.news import News
from comfybridge.jobs.presence import Agent, Presence
from comfybridge.jobs.queue import JobQueue
from comfybridge.jobs.requests import pack
from comfybridge.jobs.results import blob_name, generation_of
from comfybridge.jobs.states import State, Wishes, ended_state, open_state
from comfybridge.jobs.tries import Tries, not_tried
from comfybridge.jobs.watching import Watching
from comfybridge.jobs.webhooks import Webhooks
from comfybridge.logs import Facts
from comfybridge.policy.job_terms import USUAL
from comfybridge.policy.policies import Rights, Turn
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.repeats import prompt_id_of
from comfybridge.request import Generation, OutputOptions

log = logging.getLogger(__name__)

READY_SECONDS = 2.0  # for the mirror to know all jobs that the engine has
RETRY_SECONDS = 5
FULL_RETRY_SECONDS = 60
RESULTS, TRIES = "COMFYBRIDGE_RESULTS", "comfybridge.tries."

Render = Callable[[State, Generation | None], bytes]  # the body of a webhook


@dataclass(frozen=True)
class Parts:
    """What runs in a process once there are jobs.

    Attributes:
        agent: runs jobs on the ComfyUIs of the bridge itself.
    """

    engine: Engine
    queue: JobQueue
    presence: Presence
    news: News
    webhooks: Webhooks
    agent: EmbeddedAgent

    @property
    def board(self) -> Board:
        """The mirror of all jobs."""
        return self.queue.board


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

    Args:
        render: makes the body of a webhook, from how its job ended.

    Attributes:
        told_end: called with the result of each job that has ended, in one process of all.
        told_try: called with the outcome of each try of a webhook that this process makes.
    """

    def __init__(self, bridge: Bridge, render: Render) -> None:
        self._bridge = bridge
        self._render = render
        self._engine = Engine(bridge.settings, bridge.state)
        self._parts: Parts | None = None
        self._is_closed = False
        self._starting = threading.Lock()
        self._counting = threading.Lock()
        self._coming: Counter[str | None] = Counter()  # jobs by owner that are not on the board yet
        self.told_end: Callable[[Result], None] = lambda _: None
        self.told_try: Callable[[str], None] = lambda _: None

    def begin(self) -> None:
        """Go on with what is there, at a server's start: an engine that was chosen, or jobs from before."""
        if self._is_used():
            with contextlib.suppress(EngineUnreachable):  # it is tried again at the first request for a job
                self.parts().agent.begin()

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

    def submit(self, admitted: Admitted, wishes: Wishes) -> State:
        """Queue a request as a job. Returns once the engine has it on disk.

        Returns:
            The job; with an idempotency key, the first that came with it.

        Raises:
            BridgeError: what `Bridge.submit` would refuse, as far as it shows without queueing.
            Forbidden: its owner may not ask for that priority, or for a webhook.
            IdempotencyConflict: the key was used for another request.
            Busy: too many jobs wait, or the disk is full; nothing was stored.
            EngineUnreachable: nothing was stored.
        """
        self._bridge.under_way.check_goes_on()
        rights = admitted.rights
        if rights is not None:
            rights.check_job(wishes.priority, has_webhook=wishes.webhook is not None)
        parts = self._ready()
        admitted = replace(admitted, prompt_id=prompt_id_of(admitted))
        if admitted.asked.idempotency_key is not None:
            earlier = self._find(parts, str(admitted.prompt_id))
            if earlier is not None:
                return _same(earlier, self._fingerprint(parts, earlier.id), admitted)
        job = self._job(admitted, wishes)
        turn = Turn(rights)
        turn.take()
        try:
            with self._room(parts, job.owner, rights):
                added = self._add(parts, job, admitted)
        except BridgeError:
            turn.give_back()
            raise
        admitted.trace.prompt_id = job.id
        if added is not job and added.fingerprint != job.fingerprint:
            raise _conflict(job.id)
        parts.agent.need()
        return self._find(parts, job.id) or open_state(job, None)

    def find(self, job_id: str, owner: str | None) -> State:
        """A job as it is now.

        Args:
            owner: whose job it must be; None: anybody's.

        Raises:
            UnknownPrompt: there is no such job, or not any more.
            EngineUnreachable: it is not known yet what jobs there are.
        """
        state = self._find(self._ready(), job_id) if self._is_used() else None
        if state is None or (owner is not None and state.owner != owner):
            raise UnknownPrompt("There is no job of that id, or its result is no longer kept.", prompt_id=job_id)
        return state

    def known(self, job_id: str, owner: str | None) -> State | None:
        """A job as it is now; None if there is none. Asks nobody where no jobs were queued."""
        if not self._is_used():
            return None
        try:
            return self.find(job_id, owner)
        except (UnknownPrompt, EngineUnreachable):
            return None

    def wait(self, job_id: str, seconds: float) -> State:
        """A job once it has ended, or after that many seconds.

        Raises:
            UnknownPrompt, EngineUnreachable
        """
        board = self._ready().board
        board.wait(job_id, lambda: board.entry(job_id) is None, seconds)
        return self.find(job_id, None)

    @contextlib.contextmanager
    def watch(self, job_id: str) -> Iterator[Watching]:
        """Follow what happens to a job.

        Raises:
            EngineUnreachable
        """
        parts = self._ready()
        watching = Watching(job_id, parts.engine, parts.board, partial(self.find, job_id, None))
        try:
            yield watching
        finally:
            watching.close()

    def cancel(self, job_id: str, owner: str | None) -> tuple[State, State]:
        """End a job as cancelled, unless it has ended.

        Returns:
            Its states before and after.

        Raises:
            UnknownPrompt, EngineUnreachable
        """
        before = self.find(job_id, owner)
        if before.has_ended:
            return before, before
        result = self._ready().queue.cancel(job_id)
        if result is None:
            raise UnknownPrompt("The job is no longer known.", prompt_id=job_id)
        after = ended_state(result, self._delivery(result))
        return (before if after.status == "cancelled" else after), after

    def generation(self, result: Result, options: OutputOptions, deadline: Deadline) -> Generation:
        """What a job has made. Its files are fetched when they are read."""
        return generation_of(result, partial(self._open_file, result), deadline, options)

    def open_file(self, job_id: str, number: int) -> Iterator[bytes]:
        """The bytes of one of a job's files, as ComfyUI made it.

        Raises:
            UnknownPrompt: the result of the job is no longer kept.
            FileUnusable, EngineUnreachable
        """
        result = self._ready().board.result(job_id) if self._is_used() else None
        if result is None:
            raise UnknownPrompt("The result of the job is no longer kept.", prompt_id=job_id)
        return self._open_file(result, number)

    # -- all of them ---------------------------------------------------------------------------------------------

    def list(
        self, owner: str | None, *, status: str | None, labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page:
        """Kept jobs, the newest first.

        Args:
            owner: whose jobs; None: everybody's.
            labels: those that a job must have.
            cursor: `next_cursor` of the page before.

        Raises:
            InvalidRequest: the cursor is none.
            EngineUnreachable
        """
        if not self._is_used():
            return Page([], None)
        parts = self._ready()
        return page_of(
            parts.board, partial(self._find, parts), owner, status=status, labels=labels, cursor=cursor, limit=limit
        )

    def waiting(self, owner: str | None) -> list[State]:
        """The kept jobs that wait, the next one first. Starts nothing.

        Args:
            owner: whose jobs; None: everybody's.
        """
        parts = self._parts
        if parts is None:
            return []
        entries = [
            each
            for each in parts.board.open()
            if each.job.kind == "kept" and not each.is_running and owner in (None, each.job.owner)
        ]
        states = [self._open(parts, each) for each in entries]
        return sorted(states, key=lambda each: each.position or 0)

    def figures(self) -> Figures | None:
        """The jobs and agents as they are now; None where there were no jobs. Starts nothing."""
        parts = self._parts
        if parts is None:
            return None
        counts = {state: count for (kind, state), count in parts.board.counts().items() if kind == "kept"}
        return Figures(counts, parts.board.oldest(), tuple(parts.presence.living()))

    # -- its parts -----------------------------------------------------------------------------------------------

    def _is_used(self) -> bool:
        return self._parts is not None or self._engine.is_chosen or self._engine.is_wanted_at_start()

    def _started(self) -> Parts:
        bridge, engine = self._bridge, self._engine
        presence = Presence(engine)
        queue = JobQueue(
            engine, "bridge", presence, most_open=bridge.settings.max_jobs, cleared=lambda result: self._ended(result)
        )
        queue.start()
        news = News(engine)
        webhooks = Webhooks(engine, bridge.settings, self._render, lambda outcome: self.told_try(outcome))
        webhooks.start()
        return Parts(engine, queue, presence, news, webhooks, EmbeddedAgent(bridge, engine))

    def _ready(self) -> Parts:
        parts = self.parts()
        if not parts.queue.wait_until_ready(READY_SECONDS):
            raise EngineUnreachable(
                "The engine, which keeps the jobs, does not answer.", retry_after=RETRY_SECONDS
            )
        return parts

    def _job(self, admitted: Admitted, wishes: Wishes) -> Job:
        """The job of a request that can work, as far as that shows before it is queued."""
        settings, rights = self._bridge.settings, admitted.rights
        checked = self._bridge.check(admitted)
        priority = USUAL if rights is None else min(USUAL, rights.most_priority)
        workflow = admitted.asked.workflow_name(settings.default_workflow)
        admitted.trace.workflow = workflow
        return Job(
            id=str(admitted.prompt_id),
            kind="kept",
            created=time.time(),
            workflow=workflow,
            timeout=admitted.deadline.seconds,
            owner=admitted.owner,
            priority=priority if wishes.priority is None else wishes.priority,
            attempts=settings.job_attempts,
            expires=wishes.expires or settings.job_expires,
            labels=dict(wishes.labels),
            webhook=wishes.webhook,
            older_webhook=wishes.older_webhook,
            base_url=wishes.base_url or None,
            fingerprint=admitted.fingerprint,
            classes=checked.classes,
            models=checked.models,
            most_running=None if rights is None else rights.policy.max_running_jobs,
        )

    def _add(self, parts: Parts, job: Job, admitted: Admitted) -> Job:
        packed = pack(admitted, self._bridge)
        try:
            for name, data in packed.files:
                parts.engine.put_blob(job.id, name, [data], ttl=None)
            return parts.queue.add(job, packed.data)
        except Full:
            self._forget_files(parts, job)
            raise Busy(
                "There is no room for another job: too many wait, or the disk is full.", retry_after=FULL_RETRY_SECONDS
            ) from None
        except EngineUnreachable:
            self._forget_files(parts, job)
            raise

    def _forget_files(self, parts: Parts, job: Job) -> None:
        if job.fingerprint is None:  # otherwise another request with its key may have stored them
            with contextlib.suppress(BridgeError):
                parts.engine.drop_blobs(job.id)

    @contextlib.contextmanager
    def _room(self, parts: Parts, owner: str | None, rights: Rights | None) -> Iterator[None]:
        """Room for another waiting job of an owner.

        Raises:
            Busy: it has too many.
        """
        most = None if rights is None else rights.policy.max_waiting_jobs
        with self._counting:
            if rights is not None and most is not None and parts.board.waiting_of(owner) + self._coming[owner] >= most:
                raise Busy(
                    f"{rights.who} may have at most {most} waiting jobs.", retry_after=self._retry_after(parts)
                )
            self._coming[owner] += 1
        try:
            yield
        finally:
            with self._counting:
                self._coming[owner] -= 1

    def _find(self, parts: Parts, job_id: str) -> State | None:
        entry = parts.board.entry(job_id)
        if entry is not None:
            return self._open(parts, entry)
        result = parts.board.result(job_id)
        return None if result is None else ended_state(result, self._delivery(result))

    def _open(self, parts: Parts, entry: Entry) -> State:
        if entry.is_running:
            progress = parts.news.progress_of(entry.job.id)
            eta = None if progress is None else progress.eta_seconds
            return open_state(entry.job, entry.claim, eta_seconds=eta, progress=progress)
        before = parts.board.position(entry.job.id)
        position = None if before is None else before + 1
        claim = None if entry.claim is None else replace(entry.claim, state="given_back")
        return open_state(entry.job, claim, position=position, eta_seconds=_eta(parts.presence.living(), position))

    def _fingerprint(self, parts: Parts, job_id: str) -> str | None:
        entry = parts.board.entry(job_id)
        known = entry.job if entry is not None else parts.board.result(job_id)
        return None if known is None else known.fingerprint

    def _delivery(self, result: Result) -> Mapping[str, object] | None:
        """What became of a webhook, as far as the engine can say now."""
        if result.webhook is None:
            return None
        with contextlib.suppress(EngineUnreachable):
            message = self._engine.get(RESULTS, TRIES + result.id)
            tries = None if message is None else Tries.from_bytes(message.data)
            return (tries or not_tried(result.ended)).view()
        return None

    def _open_file(self, result: Result, number: int) -> Iterator[bytes]:
        try:
            return self._engine.read_blob(result.id, blob_name(result, number))
        except LookupError:
            raise FileUnusable("The file is no longer kept.", prompt_id=result.id) from None

    def _retry_after(self, parts: Parts) -> int:
        eta = _eta(parts.presence.living(), 0)
        return RETRY_SECONDS if eta is None else whole_seconds(eta)

    def _ended(self, result: Result) -> None:
        level = logging.INFO if result.status != "failed" else logging.WARNING
        log.log(level, "%s", _line(result))
        self.told_end(result)


class _Line(Facts):
    """The log's fields for a job that has ended."""

    def __str__(self) -> str:
        return f"Job {self['outcome']}: {Facts({name: self[name] for name in self if name != 'outcome'})}"


def _line(result: Result) -> _Line:
    began = result.started
    return _Line(
        job_id=result.id,
        outcome=result.status,
        workflow=result.workflow,
        key=result.owner,
        agent=result.agent,
        attempts=result.attempts,
        queued=None if began is None else round(max(0.0, began - result.created), 4),
        executing=None if began is None else round(max(0.0, result.ended - began), 4),
        total=round(max(0.0, result.ended - result.created), 4),
        error=None if result.error is None else result.error.get("type"),
    )


def _same(earlier: State, fingerprint: str | None, admitted: Admitted) -> State:
    if fingerprint != admitted.fingerprint:
        raise _conflict(earlier.id)
    return earlier


def _conflict(job_id: str) -> IdempotencyConflict:
    return IdempotencyConflict(
        "The Idempotency-Key was used for another request before; a new request needs a new key.", prompt_id=job_id
    )


def _eta(agents: list[Agent], position: int | None) -> float | None:
    """Seconds until a waiting job will have run, from how long the agents take; None if none has run one."""
    means = [each.mean_seconds for each in agents if each.mean_seconds is not None]
    slots = sum(each.slots for each in agents)
    if not means or not slots or position is None:
        return None
    return sum(means) / len(means) * (1 + position / slots)
