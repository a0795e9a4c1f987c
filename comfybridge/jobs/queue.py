"""The queue: each process mirrors the open jobs, chooses by itself, and claims by compare-and-set, so that only one
process wins. The first result of a job is its only one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import Conflict, Full, Message
from comfybridge.engine.names import FILES
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.board import Board, Entry, Stream, What
from comfybridge.jobs.cancelling import claim_to_cancel
from comfybridge.jobs.claims import Claimed, Claims, Taker
from comfybridge.jobs.clearing import Clearing
from comfybridge.jobs.first_result import store_result
from comfybridge.jobs.graphs import keep_graph
from comfybridge.jobs.job import Claim, Job, Kind, Result, result_of
from comfybridge.jobs.past import Past
from comfybridge.jobs.presence import Presence
from comfybridge.jobs.space import Space
from comfybridge.jobs.subjects import (
    RESULT_STREAMS,
    STREAMS,
    claim_subject,
    job_subject,
    result_subject,
)

__all__ = ["BeingRemoved", "Claimed", "JobQueue", "Taker"]

log = logging.getLogger(__name__)

# Bytes of a request that lie in the job's own message, which all processes read; larger ones are written to disk.
INLINE: dict[Kind, int] = {"kept": 16 * 1024, "live": 256 * 1024}
REQUEST_SECONDS = 30 * 86400.0  # for which a larger one is kept, if nothing removes it
REQUESTS_KEPT = 256
HEARING_SECONDS = 1.0  # until the mirror knows of a result that was stored here; it takes a few milliseconds
KINDS: tuple[Kind, ...] = ("kept", "live")
RETRY_SECONDS = 5


class BeingRemoved(Exception):
    """A job of the same id is about to be cleared away; then the id is free."""


class JobQueue:
    """The jobs of the fleet, as one process takes part in them. Methods may be called by any thread.

    All methods that ask the engine raise EngineUnreachable. Each may then be called again with the same arguments,
    whatever the engine has stored of the first call.

    Attributes:
        files: the room for the files of jobs.
    """

    def __init__(
        self,
        engine: Engine,
        role: Literal["bridge", "agent"],
        presence: Presence,
        *,
        most_open: int = 20_000,
        lost: Callable[[str], None] = lambda job_id: None,
        cancelled: Callable[[str], None] = lambda job_id: None,
        cleared: Callable[[Result], None] = lambda result: None,
    ) -> None:
        """
        Args:
            role: a bridge follows the results too, and clears away after jobs that have ended. It may have an agent
                in its process, which uses the same queue.
            presence: is started and closed with the queue.
            most_open: how many jobs may be open.
            lost: called with the id of a job that this process has claimed, when it must stop running it: it has
                ended elsewhere, or was given to another agent. In the engine's thread: be quick.
            cancelled: called with the id of a job that this process has claimed, when it is to interrupt its prompt
                and end it as that ends; perhaps more than once. In the engine's thread too.
            cleared: called with the result of each kept job in one bridge process only, after its end.
        """
        self.presence = presence
        self._engine = engine
        self._is_bridge = role == "bridge"
        self._most_open = most_open
        self._told = cleared
        self.board = Board(
            is_abandoned=lambda entry: self._claims.is_abandoned(entry),
            ended=self._hear_ended,
            repeated=self._hear_repeated,
            stray=lambda kind, job_id: self._clearing.stray(kind, job_id) if self._is_bridge else None,
            fetch=self._fetch,
        )
        self._clearing = Clearing(
            engine, self._tell_cleared, lambda job_id: self.board.entry(job_id) is not None, self._hear
        )
        self._claims = Claims(engine, self.board, presence, lost, cancelled)
        self._ends: list[Callable[[], None]] = []
        self._spaces = {kind: Space(engine, STREAMS[kind]) for kind in KINDS}
        self.files = Space(engine, FILES)
        self._own: set[str] = set()  # the jobs that were added here
        self._requests: OrderedDict[str, tuple[Job, bytes]] = OrderedDict()  # the last added, for an agent here
        self._caught_up = {stream: threading.Event() for stream in self._streams()}

    def start(self) -> None:
        """Follow the jobs. Returns at once."""
        if self._is_bridge:
            self._clearing.start()
        self.presence.on_change(self.board.review)
        self.presence.start()
        if self._is_bridge:
            self._ends.append(self.board.changes(self._hear_change))
        for stream, (name, subjects) in self._streams().items():
            self._ends.append(self._follow(stream, name, subjects))

    def serve(self, lost: Callable[[str], None], cancelled: Callable[[str], None]) -> None:
        """Have an agent in this process that takes jobs; the arguments are as at the start."""
        self._claims.lost, self._claims.cancelled = lost, cancelled

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
            The job; or if there is one of that id already, that one, or its result. Compare the fingerprint. The
            blobs of this one may be left then.

        Raises:
            Full: too many jobs are open, or the disk is full. Nothing was taken.
            BeingRemoved: one of that id has ended, and its result is no longer kept. Nothing was taken.
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
        if len(request) > INLINE[job.kind]:
            job = replace(job, request_in="blob")
        data = job.to_bytes() if job.request_in == "blob" else job.to_bytes() + b"\n" + request
        self._spaces[job.kind].take(len(data))
        if job.request_in == "blob":
            self.files.count(self._engine.put_blob(job.id, job.request_blob, [request], ttl=REQUEST_SECONDS))
        else:
            self._requests[job.id] = job, request
            if len(self._requests) > REQUESTS_KEPT:
                self._requests.popitem(last=False)
        self._own.add(job.id)
        self._clearing.keep(job.id)
        try:
            sequence = self._publish_job(job, data, 0)
        except Conflict:
            return self._stored(job, data)
        if job.fingerprint is not None:
            earlier = self._stored_result(job)  # it has ended elsewhere, and has no grave, or none any more
            if earlier is not None:
                self._clearing.end(job, sequence, pause=0)
                return earlier
        return job

    def drop_files_unless_stored(self, job: Job) -> None:
        """Drop the files of a job that was perhaps not added, once it is known that it was not."""
        self._clearing.drop_unless_stored(job)

    def cancel(self, job_id: str) -> bool:
        """End a job as cancelled if it waits. If it runs, have its agent interrupt it, and end it as its prompt ends.

        Returns:
            Whether there is such a job, also one that has ended.
        """
        entry = self.board.look(job_id)
        job = self._find(job_id) if entry is None else entry.job
        if job is None:
            return self.board.find_past(job_id) is not None
        self._cancel(job, entry, by_agents=True)
        return True

    def is_stored(self, job_id: str) -> bool:
        """Whether the engine has a kept job of that id, open or ended, whatever the mirror knows.

        Raises:
            EngineUnreachable: also if it has been away for a while, then at once.
        """
        if not self._engine.is_connected:
            raise EngineUnreachable("The engine, which keeps the jobs, does not answer.", retry_after=RETRY_SECONDS)
        subjects = [result_subject("kept", job_id, has_webhook=each) for each in (False, True)]
        return self._engine.get(STREAMS["kept"], job_subject("kept", job_id)) is not None or any(
            self._engine.get(RESULT_STREAMS["kept"], each) is not None for each in subjects
        )

    def has_ended(self, job: Job) -> bool:
        """Whether the engine has the result of a job, whatever the mirror knows; False if it is away."""
        if not self._engine.is_connected:
            return False
        subject = result_subject(job.kind, job.id, has_webhook=job.webhook is not None)
        try:
            return self._engine.get(RESULT_STREAMS[job.kind], subject) is not None
        except EngineUnreachable:
            return False

    # -- for agents --------------------------------------------------------------------------------------------------

    def request_of(self, job: Job) -> bytes:
        """The request of an open job. Raises LookupError if it is no longer there."""
        if job.request_in == "blob":
            return b"".join(self._engine.read_blob(job.id, job.request_blob))
        entry = self.board.entry(job.id)
        if entry is not None and entry.request is not None:
            return entry.request
        added_here = self._requests.pop(job.id, None)
        if added_here is not None and entry is not None and added_here[0] == job:  # not another process's duplicate
            return added_here[1]
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        if stored is None or not stored.data:
            raise LookupError("the job has ended")
        return stored.data.partition(b"\n")[2]

    def take(self, taker: Taker, seconds: float) -> Claimed | None:
        """Wait for a job that this agent can run, and claim it; None if there is none in time, or `wake` was called.

        Also returns jobs that are claimed by this agent although it was not told (the answer was lost), and jobs
        that were begun too often (`Claimed.is_exhausted`). While the engine is away, it waits; also until it is known
        which jobs have ended.
        """
        if not self.wait_until_ready(seconds):
            return None
        return self._claims.take(taker, seconds)

    def wake(self) -> None:
        """Let threads that wait in `take` return."""
        self._claims.wake()

    def give_back(self, claimed: Claimed, *, counts: bool, sent: bool = True, lacks: str | None = None) -> None:
        """Let another agent run it, or this one later.

        Args:
            counts: whether this run counts as one of the job's attempts.
            sent: whether a ComfyUI may know its prompt from this run.
            lacks: why this agent cannot run it; it is not offered the job again.
        """
        claim = claimed.claim
        self._claims.passing(claimed)
        self._claims.rewrite(
            claimed,
            replace(
                claim,
                state="given_back",
                attempt=claim.attempt if counts else claim.attempt - 1,
                sent=claim.sent or sent,
                lacks=claim.lacks if lacks is None else {**claim.lacks, claim.agent: lacks},
            ),
        )

    def end(self, claimed: Claimed, result: Result) -> bool:
        """Store how a job ended. Returns False if another result was first; that one counts."""
        self._claims.passing(claimed)
        is_first = store_result(self._engine, result) == result
        if self._is_bridge and not self._engine.is_chosen:  # all others are bridges, which hear the result
            job_id = claimed.job.id
            if self.board.wait(job_id, lambda: self.board.entry(job_id) is None, HEARING_SECONDS):
                self._claims.release(claimed)
                return is_first
        self._claims.rewrite(claimed, replace(claimed.claim, state="ended"))
        return is_first

    def let_go(self, claimed: Claimed) -> None:
        """The run of a job is over, but it was neither given back nor ended."""
        self._claims.let_go(claimed)

    def is_held(self, job_id: str) -> bool:
        """Whether a job is claimed here: it was not lost meanwhile, nor given back or ended."""
        return self._claims.is_held(job_id)

    def is_cancelled(self, job_id: str) -> bool:
        """Whether an open job is to end without running any further."""
        entry = self.board.entry(job_id)
        return entry is not None and entry.is_cancelled

    # -- within ------------------------------------------------------------------------------------------------------

    def _cancel(self, job: Job, entry: Entry | None, *, by_agents: bool) -> None:
        claim = claim_to_cancel(self._engine, job, entry, by_agents=by_agents)
        if claim is not None:
            graph = keep_graph(self._engine, job, self.request_of)
            store_result(self._engine, result_of(job, "cancelled", ended=time.time(), claim=claim, graph=graph))

    def _hear_change(self, job_id: str, what: What) -> None:
        """End a cancelled job that nobody else ends: its agent is dead, or the bridge that cancelled it."""
        if what in ("given_back", "ended") and self.is_cancelled(job_id):
            self._clearing.later(f"cancel {job_id}", partial(self._finish, job_id))

    def _finish(self, job_id: str) -> None:
        entry = self.board.look(job_id)
        if entry is not None and entry.is_cancelled and not entry.is_running:
            self._cancel(entry.job, entry, by_agents=False)

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
                    self._claims.lose(job_id)
            self._caught_up[stream].set()

        def reset() -> None:
            self.board.begin_again(stream)
            self._claims.begin_again()

        return self._engine.follow(name, subjects, self._hear, caught_up, reset)

    def _hear(self, message: Message) -> None:
        job_id = message.subject.rpartition(".")[2]
        self.board.hear(message)
        what = message.subject.split(".")[2]
        if what == "job" and not message.data:
            self._clearing.has_gone(job_id)
            self._own.discard(job_id)
            self._claims.lose(job_id)
        elif what == "result":
            self._claims.lose(job_id)
        elif what == "claim":
            entry = self.board.entry(job_id)
            if entry is None or entry.claim is None:
                return
            self._claims.hear(entry)
            if self._is_bridge and entry.state == "ended":
                self._clearing.end_unresolved(entry.job, entry.sequence)

    def _hear_ended(self, job: Job, sequence: int) -> None:
        if self._is_bridge:
            past = self.board.find_past(job.id)
            # the claim of a cancelled job stays for a while, or an agent that has not heard of it could make its own
            is_urgent = job.id in self._own and (past is None or past.status != "cancelled")
            self._clearing.end(job, sequence, pause=0 if is_urgent else None)
            self._own.discard(job.id)

    def _hear_repeated(self, job: Job, sequence: int) -> None:
        if self._is_bridge:
            act = partial(self._check_repeated, job, sequence)
            self._clearing.later(f"repeated {job.id} {sequence}", act, pause=0)

    def _check_repeated(self, job: Job, sequence: int) -> None:
        """Clear away a job whose id has a result, or take it in if the engine has removed that to make room."""
        if self._stored_result(job) is not None:
            self._clearing.end(job, sequence)
            return
        self.board.forget_result(job.id)
        for subject in (job_subject(job.kind, job.id), claim_subject(job.kind, job.id)):
            stored = self._engine.get(STREAMS[job.kind], subject)
            if stored is not None:
                self._hear(stored)

    def _tell_cleared(self, job: Job) -> None:
        if job.kind == "kept":
            result = self.board.result(job.id) or self._stored_result(job)
            if result is not None:
                self._told(result)

    def _fetch(self, past: Past) -> Message | None:
        return self._engine.get(RESULT_STREAMS[past.kind], past.subject)

    def _publish_job(self, job: Job, data: bytes, expected: int) -> int:
        try:
            return self._engine.publish(job_subject(job.kind, job.id), data, expected=expected)
        except EngineUnreachable:
            if job.fingerprint is None:
                self._clearing.withdraw(job, data)
            raise
        except Full:
            if job.request_in == "blob":
                self._engine.drop_blobs(job.id, job.request_blob)
            raise

    def _stored(self, job: Job, data: bytes) -> Job | Result:
        """The job that has this one's id already, or its result."""
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        result = self._stored_result(job)
        if stored is not None and stored.data:
            claim = self._engine.get(STREAMS[job.kind], claim_subject(job.kind, job.id))
            if result is None and claim is not None and Claim.from_bytes(claim.data).state == "ended":
                raise BeingRemoved
            return Job.from_bytes(stored.data.partition(b"\n")[0])
        if result is not None:
            return result
        try:
            self._publish_job(job, data, 0 if stored is None else stored.sequence)  # it was withdrawn
        except Conflict:  # another process was first, after both had seen that
            return self._stored(job, data)
        return job

    def _stored_result(self, job: Job) -> Result | None:
        """The result of a job, or of another one with its key, of which the mirror may not know yet."""
        has_webhook = job.webhook is not None
        subjects = [result_subject(job.kind, job.id, has_webhook=has_webhook)]
        if job.kind == "kept" and job.fingerprint is not None:
            subjects.append(result_subject(job.kind, job.id, has_webhook=not has_webhook))
        for subject in subjects:
            stored = self._engine.get(RESULT_STREAMS[job.kind], subject)
            if stored is not None:
                return Result.from_bytes(stored.data)
        return None

    def _find(self, job_id: str) -> Job | None:
        """An open job of which the mirror does not know yet."""
        if self.board.find_past(job_id) is not None:
            return None
        for kind in KINDS:
            stored = self._engine.get(STREAMS[kind], job_subject(kind, job_id))
            if stored is not None and stored.data:
                return Job.from_bytes(stored.data.partition(b"\n")[0])
        return None
