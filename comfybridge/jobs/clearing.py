"""Clears away after jobs that have ended, in a bridge: the job itself, its claim, its blobs and its secrets.

Several bridges may try; one succeeds. What a bridge that died has left, another one clears at its start.

A job leaves a grave: an empty message on its subject. It tells agents, which hear of no results, that the job has
gone. Only bridges follow the jobs of the bridge's own engine: there a job goes with its claim in one call.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import Conflict, Full, Message
from comfybridge.errors import BridgeError, EngineUnreachable
from comfybridge.jobs import secret_data
from comfybridge.jobs.job import Job, Kind
from comfybridge.jobs.subjects import STREAMS, claim_subject, job_subject, open_subjects

log = logging.getLogger(__name__)

GRAVE_SECONDS = 60.0  # for which a job's subject stays taken after its end
PAUSE = 2.0  # seconds that the bridge has in which the job was submitted, before the others do its work
UNRESOLVED_SECONDS = 30.0  # after which a job that has ended is cleared away also without a result
WITHDRAWN_AFTER = (1.0, 5.0, 30.0)  # seconds after which a job is looked for that was perhaps stored


@dataclass(frozen=True)
class _Task:
    """What is to be done.

    Attributes:
        name: of several of the same name and sequence, all are done once one is.
        sequence: that of the message of a job, where it is about one.
    """

    name: str
    act: Callable[[], None]
    sequence: int = 0


def drop_unstored(engine: Engine, job: Job) -> None:
    """Delete the blobs of a job that is not stored, but none of another one that has its id."""
    for name in (*job.input_blobs, job.request_blob):
        engine.drop_blobs(job.id, name)


class Clearing:
    """One thread that does it all, one thing after the other; none is urgent.

    Args:
        cleared: called after each job that this bridge, and no other, has cleared away.
        is_open: whether a job is open, as far as this process has heard.
        hear: takes in a claim.
    """

    def __init__(
        self,
        engine: Engine,
        cleared: Callable[[Job], None],
        is_open: Callable[[str], bool],
        hear: Callable[[Message], None],
    ) -> None:
        self._engine = engine
        self._cleared = cleared
        self._is_open = is_open
        self._hear = hear
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, _Task]] = []
        self._wanted: dict[str, set[int]] = {}  # what is to be done, and about which messages
        self._begun: dict[str, int] = {}  # jobs that are cleared away, or perhaps, but not wholly: see `_last_of`
        self._number = itertools.count()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="clearing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self, job: Job, sequence: int, *, pause: float | None = None) -> None:
        """Clear away a job with a result, whose message has that sequence: now, or when others had time to do so."""
        self._plan(_Task(f"end {job.id}", lambda: self._end(job, sequence), sequence), pause)

    def later(self, name: str, act: Callable[[], None], *, pause: float | None = None) -> None:
        """Do something: now, or when others had time to do so; again if the engine is away then."""
        self._plan(_Task(name, act), pause)

    def end_unresolved(self, job: Job, sequence: int) -> None:
        """Clear away a job that is said to have ended, if its result does not come."""
        self._plan(_Task(f"end {job.id}", lambda: self._bury(job, sequence), sequence), UNRESOLVED_SECONDS)

    def has_gone(self, job_id: str) -> None:
        """A job was cleared away: nothing is left to do, unless it was by this bridge."""
        if job_id not in self._begun:
            self._wanted.pop(f"end {job_id}", None)

    def stray(self, kind: Kind, job_id: str) -> None:
        """Remove the claim of a job that is not open; if the job has come meanwhile, take the claim in."""
        self._plan(_Task(f"stray {job_id}", lambda: self._remove_stray(kind, job_id)), None)

    def withdraw(self, job: Job, data: bytes) -> None:
        """Remove a job whose message has that data, if it was stored although its caller was told that it was not."""
        for number, pause in enumerate(WITHDRAWN_AFTER):
            self._plan(_Task(f"withdraw {job.id} {number}", lambda: self._withdraw(job, data)), pause)

    def drop_unless_stored(self, job: Job) -> None:
        """Drop what a job needs that was perhaps stored, if it was not. It has names of its own for that."""
        task = _Task(f"drop {job.id}{job.blobs}", lambda: self._drop_unless_stored(job))
        self._plan(task, WITHDRAWN_AFTER[-1])

    def keep(self, job_id: str) -> None:
        """A job that was to be withdrawn was added again, and is wanted."""
        for number in range(len(WITHDRAWN_AFTER)):
            self._wanted.pop(f"withdraw {job_id} {number}", None)

    def close(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _plan(self, task: _Task, pause: float | None) -> None:
        if pause is None:
            pause = PAUSE * (1 + random.random())
        with self._changed:
            self._wanted.setdefault(task.name, set()).add(task.sequence)
            heapq.heappush(self._due, (time.monotonic() + pause, next(self._number), task))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_over and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._is_over:
                    return
                _, _, task = heapq.heappop(self._due)
            if task.sequence not in self._wanted.get(task.name, ()):
                continue
            try:
                task.act()
            except (BridgeError, Full):
                self._plan(task, None)  # the engine is away
                continue
            except Exception:
                log.exception("clearing away after a job failed")
            self._is_done(task)

    def _is_done(self, task: _Task) -> None:
        with self._changed:
            wanted = self._wanted.get(task.name, set())
            wanted.discard(task.sequence)
            if not wanted:
                self._wanted.pop(task.name, None)

    def _end(self, job: Job, sequence: int) -> None:
        if self._engine.is_chosen:
            self._bury(job, sequence)
            return
        last = self._last_of(job, sequence)
        if last is None:
            return
        self._drop_files(job)
        subjects = open_subjects(job.kind, job.id)
        if self._is_ours(job, last, lambda: self._engine.purge(STREAMS[job.kind], subjects, last=last) > 0):
            self._tell(job)

    def _bury(self, job: Job, sequence: int) -> None:
        """Clear away a job, and leave its grave."""
        last = self._last_of(job, sequence)
        if last is None:
            self._bury_rest(job)
            return
        self._drop_files(job)
        if job.kind == "live":
            # not by its number: once the engine has lost what was in memory, another job may have that number
            is_ours = self._is_ours(job, last, lambda: self._leave_grave(job, sequence))
        else:
            is_ours = self._is_ours(job, last, lambda: self._delete(job, sequence))
            self._leave_grave(job, 0)
        if is_ours:
            self._engine.purge(STREAMS[job.kind], claim_subject(job.kind, job.id), last=last)
            self._tell(job)

    def _bury_rest(self, job: Job) -> None:
        """See to the grave and the claim of a job that another bridge has deleted: it may have died meanwhile."""
        subject = job_subject(job.kind, job.id)
        stored = self._engine.get(STREAMS[job.kind], subject)
        if stored is None and self._leave_grave(job, 0):
            stored = self._engine.get(STREAMS[job.kind], subject)
        if stored is not None and not stored.data:  # a claim that is newer than the grave is another job's
            self._engine.purge(STREAMS[job.kind], claim_subject(job.kind, job.id), last=stored.sequence)

    def _last_of(self, job: Job, sequence: int) -> int | None:
        """The number of the last message that is to be cleared away with a job; 0 if all are.

        None if others have cleared it away: the next job with its key has its id, and must not go with it.
        """
        if job.fingerprint is None:
            return 0
        begun = self._begun.get(job.id, 0)
        if sequence <= begun:  # otherwise that was an earlier job
            return begun
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        if stored is None or stored.sequence != sequence or not stored.data:
            return None
        claim = self._engine.get(STREAMS[job.kind], claim_subject(job.kind, job.id))
        return sequence if claim is None else max(sequence, claim.sequence)

    def _delete(self, job: Job, sequence: int) -> bool:
        """Delete the message of a job, if it is still there: numbers begin again where the engine has lost its disk.

        A grave alone would not do: see `Engine.delete`.
        """
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        is_there = stored is not None and stored.sequence == sequence and bool(stored.data)
        return is_there and self._engine.delete(STREAMS[job.kind], sequence)

    def _leave_grave(self, job: Job, sequence: int) -> bool:
        """Whether there was none yet, and the last message of the job has that number."""
        try:
            self._engine.publish(job_subject(job.kind, job.id), b"", expected=sequence, ttl=GRAVE_SECONDS)
        except Conflict:  # another bridge has left it
            return False
        return True

    def _drop_files(self, job: Job) -> None:
        for name in [*job.input_blobs, *([job.request_blob] if job.request_in == "blob" else [])]:
            self._engine.drop_blobs(job.id, name)
        secret_data.forget(self._engine, job)

    def _drop_unless_stored(self, job: Job) -> None:
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        if stored is None or not stored.data or Job.from_bytes(stored.data.partition(b"\n")[0]).blobs != job.blobs:
            drop_unstored(self._engine, job)
            secret_data.forget(self._engine, job)

    def _is_ours(self, job: Job, last: int, remove: Callable[[], bool]) -> bool:
        """Whether this bridge, of several that try, is the one that removes a job."""
        try:
            if remove():
                self._begun[job.id] = last
        except EngineUnreachable:
            self._begun[job.id] = last
            raise
        return job.id in self._begun

    def _tell(self, job: Job) -> None:
        self._cleared(job)
        self._begun.pop(job.id, None)

    def _remove_stray(self, kind: Kind, job_id: str) -> None:
        job = self._engine.get(STREAMS[kind], job_subject(kind, job_id))
        subject = claim_subject(kind, job_id)
        if job is None or not job.data:
            self._engine.purge(STREAMS[kind], subject)
        elif self._is_open(job_id) and (stored := self._engine.get(STREAMS[kind], subject)) is not None:
            self._hear(stored)
        # otherwise it has ended, and goes with its claim: without that, agents would take the job for a new one

    def _withdraw(self, job: Job, data: bytes) -> None:
        stored = self._engine.get(STREAMS[job.kind], job_subject(job.kind, job.id))
        if stored is not None and stored.data == data:
            self._bury(job, stored.sequence)
