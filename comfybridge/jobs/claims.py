"""Claims jobs for the agent of this process, by compare-and-set: of several agents that want a job, one gets it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import Conflict, Full, Message
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.board import Board, Entry
from comfybridge.jobs.cancelling import NOBODY
from comfybridge.jobs.choosing import Need
from comfybridge.jobs.job import Claim, Job
from comfybridge.jobs.presence import Presence
from comfybridge.jobs.subjects import STREAMS, claim_subject, job_subject

log = logging.getLogger(__name__)

DOUBT_SECONDS = 30.0  # after which a message to the engine that was not answered cannot be stored any more
UNASKED = -1
AWAY_PAUSE = 0.5  # seconds before the engine is asked again
OWN_SECONDS = 2.0  # after which a claim of this process that it does not hold has nobody who runs its job
REVIEW_SECONDS = 1.0  # between two looks at whether claims have become void by time alone
TURN_SECONDS = 0.01  # for which each idle agent leaves a new job to the one before it
MOST_CHOICES = 8  # of the next jobs, among which idle agents choose different ones


@dataclass(frozen=True)
class Taker:
    """An agent that looks for work.

    Attributes:
        lacks: what it lacks to run a job, as a sentence; None if it can run it. The job has only its classes and
            models; the answer is remembered until `abilities_hash` changes.
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


@dataclass(frozen=True)
class _Doubt:
    """A claim to which the engine gave no answer: it may be stored, now or a little later.

    Attributes:
        expected: the sequence of the claim before it, 0 if there was none; UNASKED if it is stored.
        at: seconds of the monotonic clock.
    """

    job: Job
    claim: Claim
    expected: int
    at: float


class Claims:
    """What one process has claimed.

    Attributes:
        lost, cancelled: see `JobQueue`.
    """

    def __init__(
        self,
        engine: Engine,
        board: Board,
        presence: Presence,
        lost: Callable[[str], None],
        cancelled: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._board = board
        self._presence = presence
        self.lost = lost
        self.cancelled = cancelled
        self._held: dict[str, int] = {}  # the jobs that are claimed here, and their claims' sequences
        self._passing: set[str] = set()  # those of them that are being claimed, given back or ended
        self._me: tuple[str, str] | None = None  # the agent that takes jobs here, and its session
        self._doubts: dict[str, _Doubt] = {}
        self._later: dict[str, tuple[int, float]] = {}  # jobs left to others: which claim was seen, and until when
        self._able: tuple[str, dict[Need, bool]] = ("", {})
        self._taking = threading.Lock()
        self._wakes = 0
        self._reviewed_at = float("-inf")

    def take(self, taker: Taker, seconds: float) -> Claimed | None:
        """See `JobQueue.take`."""
        until, wakes = time.monotonic() + seconds, self._wakes
        self._me = (taker.agent, taker.session)
        while True:
            version = self._board.version
            pause = 3600.0
            try:
                self._review()
                with self._taking:
                    claimed = self._look_again() or self._choose(taker)
                    pause = self._until_later()
            except EngineUnreachable:
                claimed, version, pause = None, self._board.version, AWAY_PAUSE
            left = until - time.monotonic()
            if claimed is not None or left <= 0 or self._wakes != wakes:
                return claimed
            self._board.wait_for_change(version, min(left, pause))

    def wake(self) -> None:
        """See `JobQueue.wake`."""
        self._wakes += 1
        self._board.touch()

    def is_held(self, job_id: str) -> bool:
        """See `JobQueue.is_held`."""
        return job_id in self._held

    def passing(self, claimed: Claimed) -> None:
        """The job is about to be given back or ended: it cannot be lost any more."""
        self._passing.add(claimed.job.id)

    def rewrite(self, claimed: Claimed, claim: Claim) -> None:
        """Change a claim for good, if it is still this process's, and hold it no longer.

        Raises:
            EngineUnreachable: it is still held.
        """
        job = claimed.job
        subject = claim_subject(job.kind, job.id)
        with contextlib.suppress(Conflict):  # it is another's, was changed already, or the job has ended
            try:
                self._engine.publish(subject, claim.to_bytes(), expected=claimed.sequence)
            except Conflict:
                stored = self._engine.get(STREAMS[job.kind], subject)
                now = _as_stored(claimed.claim, stored)
                if stored is not None and now is not None and now.cancelled:
                    data = replace(claim, cancelled=True).to_bytes()
                    self._engine.publish(subject, data, expected=stored.sequence)
        self.release(claimed)

    def release(self, claimed: Claimed) -> None:
        """Hold a job no longer that has ended."""
        self._held.pop(claimed.job.id, None)
        self._passing.discard(claimed.job.id)

    def let_go(self, claimed: Claimed) -> None:
        """Hold a job no longer that was neither given back nor ended. It may be claimed again, also here."""
        if self._held.get(claimed.job.id) in (claimed.sequence, 0):
            del self._held[claimed.job.id]
            self._board.touch()

    def lose(self, job_id: str) -> None:
        """The job has ended elsewhere."""
        if job_id in self._held and job_id not in self._passing:
            del self._held[job_id]
            self.lost(job_id)

    def hear(self, entry: Entry) -> None:
        """A job was claimed, or its claim changed: another agent has one that was held here, this one has one without
        knowing it, or one of this agent was cancelled.
        """
        claim, job_id = entry.claim, entry.job.id
        held = self._held.get(job_id)
        is_mine = claim is not None and (claim.agent, claim.session) == self._me
        if held is not None and entry.claim_sequence > held and not is_mine:
            self.lose(job_id)
        if held is None and claim is not None and is_mine and claim.state == "running":
            self._doubts.setdefault(job_id, _Doubt(entry.job, claim, UNASKED, time.monotonic()))
        if claim is not None and is_mine and claim.cancelled:
            self.cancelled(job_id)

    def begin_again(self) -> None:
        """Sequences of claims may begin again."""
        self._held.update(dict.fromkeys(self._held, 0))

    def is_abandoned(self, entry: Entry) -> bool:
        """Whether the agent that has claimed a job does not run it any more."""
        claim, job_id = entry.claim, entry.job.id
        if claim is None or job_id in self._held:
            return False
        if self._me is not None and claim.agent == self._me[0]:
            is_old = time.monotonic() - entry.claimed > OWN_SECONDS
            return claim.session != self._me[1] or (is_old and job_id not in self._doubts)
        presence, since = self._presence, entry.claimed
        return presence.is_dead(claim.agent, claim.session, since=since) or presence.has_dropped(
            claim.agent, claim.session, job_id, since=since
        )

    def _review(self) -> None:
        now = time.monotonic()
        if now - self._reviewed_at >= REVIEW_SECONDS:
            self._reviewed_at = now
            self._board.review()

    def _look_again(self) -> Claimed | None:
        """A job that was claimed here without an answer, if the claim is stored."""
        for job_id, doubt in list(self._doubts.items()):
            stored = self._engine.get(STREAMS[doubt.job.kind], claim_subject(doubt.job.kind, job_id))
            sequence = 0 if stored is None else stored.sequence
            if sequence == doubt.expected and time.monotonic() - doubt.at <= DOUBT_SECONDS:
                continue
            del self._doubts[job_id]
            claim = _as_stored(doubt.claim, stored)
            if claim is not None:
                return self._hold(doubt.job, claim, sequence, is_first=doubt.expected == 0)
        return None

    def _choose(self, taker: Taker) -> Claimed | None:
        """Claim the next job, unless it is left to others.

        Of several idle agents each prefers another job, and leaves the others' alone for a moment: otherwise all of
        them would claim each new one. An agent that is alone takes all at once and in their order.
        """
        can_run = self._can_run(taker)
        while True:
            idle = self._idle(taker)
            entries = self._board.first(
                min(len(idle), MOST_CHOICES), can_run, lambda entry: self._is_free(entry, taker)
            )
            entry = self._pick(entries, taker, idle)
            if entry is None:
                return None
            claimed = self._claim(entry, taker)
            if claimed is not None:
                return claimed

    def _pick(self, entries: list[Entry], taker: Taker, idle: list[str]) -> Entry | None:
        """The first that no other idle agent prefers; otherwise the first that none took although it had its turn."""
        now = time.monotonic()
        left = None
        for entry in entries:
            turn = _turn(entry.job.id, taker.agent, idle)
            if turn == 0:
                return entry
            wait = entry.waits_since + TURN_SECONDS * turn - now
            if wait > 0:
                self._later[entry.job.id] = (entry.claim_sequence, now + wait)
            elif left is None:
                left = entry
        return left

    def _idle(self, taker: Taker) -> list[str]:
        """The ids of the agents that have a free slot, this one among them."""
        busy = self._board.running_by_agent()
        others = [each for each in self._presence.living() if each.id != taker.agent and each.can_take]
        return [taker.agent, *(each.id for each in others if each.slots > busy[each.id])]

    def _claim(self, entry: Entry, taker: Taker) -> Claimed | None:
        job = entry.job
        last = NOBODY if entry.claim is None else entry.claim
        claim = replace(
            last,
            state="running",
            agent=taker.agent,
            session=taker.session,
            name=taker.name,
            attempt=last.attempt + 1,
            since=time.time(),
            sent=last.sent or last.state == "running",
        )
        self._passing.add(job.id)
        self._held[job.id] = 0
        try:
            sequence = self._engine.publish(
                claim_subject(job.kind, job.id), claim.to_bytes(), expected=entry.claim_sequence
            )
        except BaseException as error:
            del self._held[job.id]
            self._passing.discard(job.id)
            if isinstance(error, EngineUnreachable):
                self._doubts[job.id] = _Doubt(job, claim, entry.claim_sequence, time.monotonic())
            elif isinstance(error, (Conflict, Full)):
                self._later[job.id] = (entry.claim_sequence, time.monotonic() + AWAY_PAUSE)
                if isinstance(error, Conflict):
                    self._learn(entry)
                return None
            raise
        return self._hold(job, claim, sequence, is_first=entry.claim is None)

    def _learn(self, entry: Entry) -> None:
        """Take in the claim that was in the way: the mirror may have missed it, as one that came before its job.

        Or there is none any more: a bridge removed it, because it had not heard that the job is open.
        """
        job = entry.job
        stored = self._engine.get(STREAMS[job.kind], claim_subject(job.kind, job.id))
        if stored is not None:
            self._board.hear(stored)
            known = self._board.entry(job.id)
            if known is not None:
                self.hear(known)
            return
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        if stored is not None and stored.data:
            self._board.forget_claim(job.id, entry.claim_sequence)

    def _hold(self, job: Job, claim: Claim, sequence: int, *, is_first: bool) -> Claimed | None:
        self._held[job.id] = sequence
        self._passing.discard(job.id)
        if self._board.entry(job.id) is None:  # cancelled meanwhile
            self._held.pop(job.id, None)
            return None
        return Claimed(job, claim, sequence, is_first)

    def _can_run(self, taker: Taker) -> Callable[[Need], bool]:
        known_hash, known = self._able
        if known_hash != taker.abilities_hash or len(known) > 1000:
            known = {}
            self._able = (taker.abilities_hash, known)

        def can_run(need: Need) -> bool:
            if need not in known:
                job = Job("", "kept", 0, "", 0, classes=need.classes, models=need.models)
                known[need] = taker.lacks(job) is None
            return known[need]

        return can_run

    def _is_free(self, entry: Entry, taker: Taker) -> bool:
        job_id = entry.job.id
        if job_id in self._held or (entry.claim is not None and taker.agent in entry.claim.lacks):
            return False
        sequence, until = self._later.get(job_id, (-1, 0.0))
        return entry.claim_sequence != sequence or time.monotonic() >= until

    def _until_later(self) -> float:
        """Seconds until a job that was left to others may be taken."""
        now = time.monotonic()
        self._later = {job_id: each for job_id, each in self._later.items() if each[1] > now}
        return min((until - now for _, until in self._later.values()), default=3600.0) + 0.001


def _as_stored(claim: Claim, stored: Message | None) -> Claim | None:
    """A claim of this process as the engine has it now: a bridge may have cancelled it. None if it is another one."""
    forms = {each.to_bytes(): each for each in (claim, replace(claim, cancelled=True))}
    return None if stored is None else forms.get(stored.data)


def _turn(job_id: str, agent: str, agents: list[str]) -> int:
    """How many agents go before this one: rendezvous hashing, so that all agree without asking each other."""
    if len(agents) == 1:
        return 0
    mine = _weight(job_id, agent)
    return sum(_weight(job_id, each) > mine for each in agents)


def _weight(job_id: str, agent: str) -> bytes:
    return hashlib.blake2b(f"{job_id} {agent}".encode(), digest_size=8).digest()
