"""The queue: each process mirrors the open jobs, chooses by itself, and claims by compare-and-set, so that only one
process wins. The first result of a job is its only one.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import Conflict, Full, Message
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.board import Board, Entry, Stream
from comfybridge.jobs.choosing import Need
from comfybridge.jobs.clearing import Clearing
from comfybridge.jobs.job import BrokenRecord, Claim, Job, Kind, Result, result_of
from comfybridge.jobs.past import Past
from comfybridge.jobs.presence import Presence
from comfybridge.jobs.subjects import (
    LIVE_RESULT_SECONDS,
    RESULT_STREAMS,
    STREAMS,
    claim_subject,
    job_subject,
    result_subject,
)

log = logging.getLogger(__name__)

INLINE = 16 * 1024  # bytes of a request that lie in the job's own message, which all processes read
REQUEST_SECONDS = 30 * 86400.0  # for which a larger one is kept, if nothing removes it
HOOK_SECONDS = 5 * 86400.0  # for which a result with a webhook is kept at least: until after the last try
KINDS: tuple[Kind, ...] = ("kept", "live")
DOUBT_SECONDS = 30.0  # after which a message to the engine that was not answered cannot be stored any more
UNRESOLVED_SECONDS = 30.0  # after which a job that has ended is cleared away also without a result
AWAY_PAUSE = 0.5  # seconds before the engine is asked again


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
    """A claim to which the engine gave no answer: it may be stored, now or a little later."""

    job: Job
    claim: Claim
    expected: int
    at: float


class JobQueue:
    """The jobs of the fleet, as one process takes part in them. Methods may be called by any thread.

    All methods that ask the engine raise EngineUnreachable. Each may then be called again with the same arguments,
    whatever the engine has stored of the first call.
    """

    def __init__(
        self,
        engine: Engine,
        role: Literal["bridge", "agent"],
        presence: Presence,
        *,
        most_open: int = 20_000,
        lost: Callable[[str], None] = lambda job_id: None,
        cleared: Callable[[Result], None] = lambda result: None,
    ) -> None:
        """
        Args:
            role: a bridge follows the results too, and clears away after jobs that have ended.
            presence: is started and closed with the queue.
            most_open: how many jobs may be open.
            lost: called with the id of a job that this process has claimed, when it must stop running it: it was
                cancelled, has ended elsewhere, or was given to another agent. In the engine's thread: be quick.
            cleared: called with the result of each kept job in one bridge process only, after its end.
        """
        self.presence = presence
        self._engine = engine
        self._is_bridge = role == "bridge"
        self._most_open = most_open
        self._lost = lost
        self._told = cleared
        self.board = Board(
            is_abandoned=self._is_abandoned,
            ended=self._hear_ended,
            stray=lambda kind, job_id: self._clearing.stray(kind, job_id) if self._is_bridge else None,
            fetch=self._fetch,
        )
        self._clearing = Clearing(engine, self._tell_cleared, lambda job_id: self.board.entry(job_id) is not None)
        self._ends: list[Callable[[], None]] = []
        self._own: set[str] = set()  # the jobs that were added here
        self._held: dict[str, int] = {}  # the jobs that are claimed here, and their claims' sequences
        self._unheld: set[str] = set()  # those of them that are being claimed, given back or ended
        self._me: tuple[str, str] | None = None  # the agent that takes jobs here, and its session
        self._doubts: dict[str, _Doubt] = {}
        self._avoided: dict[
            str, tuple[int, float]
        ] = {}  # claims that others won: the sequence that was seen, and until
        self._able: tuple[str, dict[Need, bool]] = ("", {})
        self._choices = 1  # among how many of the next jobs to choose at random: more while others take the same
        self._taking = threading.Lock()
        self._wakes = 0
        self._caught_up = {stream: threading.Event() for stream in self._streams()}

    def start(self) -> None:
        """Follow the jobs. Returns at once."""
        if self._is_bridge:
            self._clearing.start()
        self.presence.on_change(self.board.review)
        self.presence.start()
        for stream, (name, subjects) in self._streams().items():
            self._ends.append(self._follow(stream, name, subjects))

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until all jobs that were there at the start are known. Returns whether they are."""
        until = time.monotonic() + seconds
        return all(each.wait(max(0.0, until - time.monotonic())) for each in self._caught_up.values())

    def close(self) -> None:
        """Follow no longer. Nothing is given back."""
        self.wake()
        while self._ends:
            self._ends.pop()()
        self.presence.close()
        self._clearing.close()

    # -- for bridges -------------------------------------------------------------------------------------------------

    def add(self, job: Job, request: bytes) -> Job | Result:
        """Store a job; it is on disk (kept) or in memory (live) afterwards.

        `request` is stored with it, or as a blob if it is large (`job.request_in` is set accordingly).

        Returns:
            The job; or if there is one of that id already, that one, or its result. Compare the fingerprint.

        Raises:
            Full: too many jobs are open, or the disk is full. Nothing was taken.
            EngineUnreachable: nothing was taken; what may have been stored after all will be withdrawn, unless the
                job has a fingerprint: then the next request with the same key finds it.
        """
        if job.fingerprint is not None:  # others have ids of their own, made at random
            entry = self.board.entry(job.id)
            earlier = entry.job if entry is not None else self.board.result(job.id)
            if earlier is not None:
                return earlier
        if self.board.count() >= self._most_open:
            raise Full("too many jobs wait")
        if len(request) > INLINE:
            job = replace(job, request_in="blob")
            self._engine.put_blob(job.id, "request", [request], ttl=REQUEST_SECONDS)
        data = job.to_bytes() if job.request_in == "blob" else job.to_bytes() + b"\n" + request
        self._own.add(job.id)
        try:
            self._publish_job(job, data, 0)
        except Conflict:
            return self._stored(job, data)
        return job

    def cancel(self, job_id: str) -> Result | None:
        """End a job as cancelled.

        Returns:
            Its result, an earlier one if it had ended; None if there is no such job.
        """
        found = self._find(job_id)
        if found is None:
            return self.board.result(job_id)
        job, claim, sequence = found
        result = result_of(job, "cancelled", ended=time.time(), claim=claim)
        stored = self._store(result)
        self._clearing.end(job, sequence, pause=0)
        return stored

    def is_stored(self, job_id: str) -> bool:
        """Whether the engine has an open kept job of that id, whatever the mirror knows; False if it is away."""
        if not self._engine.is_connected:
            return False
        try:
            stored = self._engine.get(STREAMS["kept"], job_subject("kept", job_id))
        except EngineUnreachable:
            return False
        return stored is not None and bool(stored.data)

    # -- for agents --------------------------------------------------------------------------------------------------

    def request_of(self, job: Job) -> bytes:
        """The request of an open job. Raises LookupError if it is no longer there."""
        if job.request_in == "blob":
            return b"".join(self._engine.read_blob(job.id, "request"))
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        if stored is None or not stored.data:
            raise LookupError("the job has ended")
        return stored.data.partition(b"\n")[2]

    def take(self, taker: Taker, seconds: float) -> Claimed | None:
        """Wait for a job that this agent can run, and claim it; None if there is none in time, or `wake` was called.

        Also returns jobs that are claimed by this agent although it was not told (the answer was lost), and jobs
        that were begun too often (`Claimed.is_exhausted`). While the engine is away, it waits.
        """
        until, wakes = time.monotonic() + seconds, self._wakes
        self._me = (taker.agent, taker.session)
        while True:
            version = self.board.version
            try:
                with self._taking:
                    claimed = self._look_again(taker) or self._choose(taker)
            except EngineUnreachable:
                version, pause = self.board.version, AWAY_PAUSE
                claimed = None
            else:
                pause = until - time.monotonic()
            if claimed is not None:
                return claimed
            left = until - time.monotonic()
            if left <= 0 or self._wakes != wakes:
                return None
            self.board.wait_for_change(version, min(left, pause, self._soonest()))

    def wake(self) -> None:
        """Let threads that wait in `take` return."""
        self._wakes += 1
        self.board.touch()

    def give_back(self, claimed: Claimed, *, counts: bool, lacks: str | None = None) -> None:
        """Let another agent run it, or this one later.

        Args:
            counts: whether this run counts as one of the job's attempts.
            lacks: why this agent cannot run it; it is not offered the job again.
        """
        claim = claimed.claim
        self._unheld.add(claimed.job.id)
        self._rewrite(
            claimed,
            replace(
                claim,
                state="given_back",
                attempt=claim.attempt if counts else claim.attempt - 1,
                lacks=claim.lacks if lacks is None else {**claim.lacks, claim.agent: lacks},
            ),
        )

    def end(self, claimed: Claimed, result: Result) -> bool:
        """Store how a job ended. Returns False if another result was first; that one counts."""
        self._unheld.add(claimed.job.id)
        is_first = self._store(result) == result
        self._rewrite(claimed, replace(claimed.claim, state="ended"))
        return is_first

    def is_held(self, job_id: str) -> bool:
        """Whether a job is claimed here: it was not lost meanwhile, nor given back or ended."""
        return job_id in self._held

    # -- within ------------------------------------------------------------------------------------------------------

    def _streams(self) -> dict[Stream, tuple[str, list[str]]]:
        """What to follow: streams of the engine, and subjects of them."""
        jobs = {kind: [job_subject(kind, "*"), claim_subject(kind, "*")] for kind in KINDS}
        if not self._is_bridge:
            return {kind: (STREAMS[kind], jobs[kind]) for kind in KINDS}
        return {
            "kept": (STREAMS["kept"], jobs["kept"]),
            "live": (STREAMS["live"], [*jobs["live"], "comfybridge.live.result.plain.*"]),
            "results": (RESULT_STREAMS["kept"], ["comfybridge.kept.result.*.*"]),
        }

    def _follow(self, stream: Stream, name: str, subjects: list[str]) -> Callable[[], None]:
        def caught_up() -> None:
            for job_id in self.board.caught_up(stream):
                if stream == "kept":  # the caller of a live one may still wait for it
                    self._lose(job_id)
            self._caught_up[stream].set()

        def reset() -> None:
            self.board.begin_again(stream)
            self._held.update(dict.fromkeys(self._held, 0))

        return self._engine.follow(name, subjects, self._hear, caught_up, reset)

    def _hear(self, message: Message) -> None:
        job_id = message.subject.rpartition(".")[2]
        self.board.hear(message)
        what = message.subject.split(".")[2]
        if what == "job" and not message.data:
            self._clearing.has_gone(job_id)
            self._own.discard(job_id)
            self._lose(job_id)
        elif what == "claim":
            entry = self.board.entry(job_id)
            if entry is None or entry.claim is None:
                return
            is_mine = (entry.claim.agent, entry.claim.session) == self._me
            if not is_mine and message.sequence > self._held.get(job_id, message.sequence):
                self._lose(job_id)
            if self._is_bridge and entry.state == "ended":
                self._clearing.end(entry.job, entry.sequence, pause=UNRESOLVED_SECONDS)

    def _lose(self, job_id: str) -> None:
        if job_id in self._held and job_id not in self._unheld:
            del self._held[job_id]
            self._lost(job_id)

    def _hear_ended(self, job: Job, sequence: int) -> None:
        if self._is_bridge:
            self._clearing.end(job, sequence, pause=0 if job.id in self._own else None)

    def _tell_cleared(self, job: Job) -> None:
        result = self.board.result(job.id) if job.kind == "kept" else None
        if result is not None:
            self._told(result)

    def _fetch(self, past: Past) -> Message | None:
        return self._engine.get(RESULT_STREAMS[past.kind], past.subject)

    def _is_abandoned(self, entry: Entry) -> bool:
        claim = entry.claim
        if claim is None or entry.job.id in self._held:
            return False
        if self._me is not None and claim.agent == self._me[0]:
            is_old = time.monotonic() - entry.claimed > DOUBT_SECONDS
            return claim.session != self._me[1] or (is_old and entry.job.id not in self._doubts)
        return self.presence.is_dead(claim.agent, claim.session, since=entry.claimed) or self.presence.has_dropped(
            claim.agent, claim.session, entry.job.id, since=entry.claimed
        )

    def _publish_job(self, job: Job, data: bytes, expected: int) -> None:
        try:
            self._engine.publish(job_subject(job.kind, job.id), data, expected=expected)
        except EngineUnreachable:
            if job.fingerprint is None:
                self._clearing.withdraw(job)
            raise
        except Full:
            if job.request_in == "blob":
                self._engine.drop_blobs(job.id, "request")
            raise

    def _stored(self, job: Job, data: bytes) -> Job | Result:
        """The job that has this one's id already, or its result."""
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        if stored is not None and stored.data:
            return Job.from_bytes(stored.data.partition(b"\n")[0])
        result = self._stored_result(job.kind, job.id, has_webhook=job.webhook is not None)
        if result is not None:
            return result
        self._publish_job(job, data, 0 if stored is None else stored.sequence)  # it was withdrawn
        return job

    def _stored_result(self, kind: Kind, job_id: str, *, has_webhook: bool) -> Result | None:
        stored = self._engine.get(RESULT_STREAMS[kind], result_subject(kind, job_id, has_webhook=has_webhook))
        return None if stored is None else Result.from_bytes(stored.data)

    def _find(self, job_id: str) -> tuple[Job, Claim | None, int] | None:
        """An open job, its claim and its sequence; asks the engine for one of which the mirror does not know yet."""
        entry = self.board.entry(job_id)
        if entry is not None:
            return entry.job, entry.claim, entry.sequence
        if self.board.find_past(job_id) is not None:
            return None
        for kind in KINDS:
            stored = self._engine.get(STREAMS[kind], job_subject(kind, job_id))
            if stored is not None and stored.data:
                return Job.from_bytes(stored.data.partition(b"\n")[0]), None, stored.sequence
        return None

    def _store(self, result: Result) -> Result:
        """Store a result if it is the first. Returns the first one."""
        has_webhook = result.webhook is not None
        ttl = LIVE_RESULT_SECONDS if result.kind == "live" else result.expires
        if has_webhook and result.kind == "kept":
            ttl = max(ttl, HOOK_SECONDS)
        subject = result_subject(result.kind, result.id, has_webhook=has_webhook)
        data = result.to_bytes()
        try:
            self._engine.publish(subject, data, expected=0, ttl=ttl)
        except Conflict:
            stored = self._engine.get(RESULT_STREAMS[result.kind], subject)
            if stored is None or stored.data == data:  # its answer was lost
                return result
            try:
                return Result.from_bytes(stored.data)
            except BrokenRecord:
                return replace(result, generation=None, error=None)
        return result

    def _rewrite(self, claimed: Claimed, claim: Claim) -> None:
        """Change a claim, if it is still this process's."""
        job = claimed.job
        with contextlib.suppress(Conflict):  # it is another's, was changed already, or the job has ended
            self._engine.publish(claim_subject(job.kind, job.id), claim.to_bytes(), expected=claimed.sequence)
        self._held.pop(job.id, None)
        self._unheld.discard(job.id)

    def _look_again(self, taker: Taker) -> Claimed | None:
        """A job that was claimed here without an answer, if the claim is stored."""
        for job_id, doubt in list(self._doubts.items()):
            job = doubt.job
            stored = self._engine.get(STREAMS[job.kind], claim_subject(job.kind, job_id))
            if stored is not None and stored.data == doubt.claim.to_bytes():
                del self._doubts[job_id]
                return self._hold(job, doubt.claim, stored.sequence, is_first=doubt.expected == 0)
            is_changed = (0 if stored is None else stored.sequence) != doubt.expected
            if is_changed or time.monotonic() - doubt.at > DOUBT_SECONDS:
                del self._doubts[job_id]
        return None

    def _choose(self, taker: Taker) -> Claimed | None:
        """Claim the next job, unless others take all that there are."""
        while entries := self.board.first(
            self._choices, self._can_run(taker), lambda entry: self._is_free(entry, taker)
        ):
            claimed = self._claim(random.choice(entries), taker)
            if claimed is not None:
                self._choices = max(1, self._choices - 1)
                return claimed
            self._choices = min(8, self._choices + 1)
        return None

    def _claim(self, entry: Entry, taker: Taker) -> Claimed | None:
        job = entry.job
        lacks = {} if entry.claim is None else entry.claim.lacks
        claim = Claim("running", taker.agent, taker.session, taker.name, entry.next_attempt, time.time(), lacks)
        subject = claim_subject(job.kind, job.id)
        self._unheld.add(job.id)
        self._held[job.id] = 0
        try:
            sequence = self._engine.publish(subject, claim.to_bytes(), expected=entry.claim_sequence)
        except BaseException as error:
            del self._held[job.id]
            self._unheld.discard(job.id)
            if isinstance(error, EngineUnreachable):
                self._doubts[job.id] = _Doubt(job, claim, entry.claim_sequence, time.monotonic())
            elif isinstance(error, (Conflict, Full)):
                self._avoided[job.id] = (entry.claim_sequence, time.monotonic() + AWAY_PAUSE)
                return None
            raise
        return self._hold(job, claim, sequence, is_first=entry.claim is None)

    def _hold(self, job: Job, claim: Claim, sequence: int, *, is_first: bool) -> Claimed | None:
        self._held[job.id] = sequence
        self._unheld.discard(job.id)
        if self.board.entry(job.id) is None:  # cancelled meanwhile
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
        sequence, until = self._avoided.get(job_id, (-1, 0.0))
        return entry.claim_sequence != sequence or time.monotonic() >= until

    def _soonest(self) -> float:
        """Seconds until a job that others seemed to take may be tried again."""
        now = time.monotonic()
        self._avoided = {job_id: each for job_id, each in self._avoided.items() if each[1] > now}
        return min((until - now for _, until in self._avoided.values()), default=3600.0) + 0.001
