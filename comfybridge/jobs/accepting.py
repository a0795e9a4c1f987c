"""Takes a request into the queue: the job that it becomes, the room for it, and its files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from comfybridge.bridge import Bridge
from comfybridge.durations import whole_seconds
from comfybridge.engine.engine import Engine, Full
from comfybridge.errors import BridgeError, Busy, EngineUnreachable, IdempotencyConflict, MissingAsset
from comfybridge.jobs import secret_data
from comfybridge.jobs.board import Board
from comfybridge.jobs.clearing import drop_unstored
from comfybridge.jobs.job import Job, Result
from comfybridge.jobs.presence import Presence
from comfybridge.jobs.queue import BeingRemoved, JobQueue
from comfybridge.jobs.requests import pack
from comfybridge.jobs.states import Wishes
from comfybridge.policy.job_terms import USUAL
from comfybridge.policy.rights import Rights
from comfybridge.prompts.admitted import Admitted

RETRY_SECONDS = 5.0  # where no job has shown how long they take
FULL_RETRY_SECONDS = 60
USED = "The Idempotency-Key was used for another request before; a new request needs a new key."
KEY_SECONDS = 24 * 3600.0  # for which a key of a single use is kept
REMOVED = "The result of the earlier request with that Idempotency-Key is just being removed; send this one again."
REMOVED_SECONDS = 2
ONLY_ONCE = uuid.UUID("0d3d6a1e-6a7e-4b0c-9c57-0b2f0b8b7e25")  # a namespace of our own


def job_of(bridge: Bridge, admitted: Admitted, wishes: Wishes) -> Job:
    """The job that a request becomes, once it is known that it can work, as far as that shows before it is queued.

    Raises:
        BridgeError: as `Bridge.check`.
    """
    settings, rights = bridge.settings, admitted.rights
    is_kept = admitted.asked.on_timeout == "keep"
    checked = bridge.check(admitted)
    usual = USUAL if rights is None else min(USUAL, rights.most_priority)
    trace = admitted.trace
    trace.workflow = admitted.asked.workflow_name(settings.default_workflow)
    return Job(
        id=str(admitted.prompt_id),
        kind="kept",
        created=time.time(),
        workflow=trace.workflow,
        timeout=settings.job_expires if is_kept else admitted.deadline.seconds,
        owner=admitted.owner,
        priority=usual if wishes.priority is None else wishes.priority,
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
        keeps_graph=wishes.keeps_graph,
    )


def fingerprint_of_job(fingerprint: str | None, wishes: Wishes) -> str | None:
    """A digest that distinguishes a job from others with the same key.

    Args:
        fingerprint: that of the request. It stays as it is if nothing else was asked for, so that a job and a
            blocking request are taken for repeats of each other.
    """
    asked = {name: value for name, value in vars(replace(wishes, base_url="")).items() if value}
    if fingerprint is None or not asked:
        return fingerprint
    return hashlib.sha256(json.dumps([fingerprint, asked], sort_keys=True).encode()).hexdigest()


def add(bridge: Bridge, engine: Engine, queue: JobQueue, job: Job, admitted: Admitted) -> None:
    """Store a job with its request and files. Returns once the engine has them on disk.

    Raises:
        IdempotencyConflict: meanwhile another request came with its key.
        MissingAsset: the bytes of one of its files are gone; nothing is stored.
        Busy, EngineUnreachable: nothing is stored.
    """
    if job.fingerprint is not None:
        job = replace(job, blobs=f"-{uuid.uuid4().hex}")
    packed = pack(admitted, bridge, job.blobs)
    secrets = uuid.uuid4().hex if packed.secrets else None
    job = replace(job, input_files=len(packed.files), reads=packed.reads, secrets=secrets)
    try:
        if job.kind == "kept" or packed.files:
            queue.files.take(0)
        for name, chunks in packed.files:
            queue.files.count(engine.put_blob(job.id, name, chunks, ttl=None))
        if job.secrets is not None:
            secret_data.keep(engine, job.secrets, packed.secrets)
        added = queue.add(job, packed.data)
    except Full:
        _forget_files(engine, job)
        said = "There is no room for another job: too many wait, or the disk is full."
        raise Busy(said, retry_after=FULL_RETRY_SECONDS) from None
    except BeingRemoved:
        _forget_files(engine, job)
        raise Busy(REMOVED, prompt_id=job.id, retry_after=REMOVED_SECONDS) from None
    except EngineUnreachable:
        queue.drop_files_unless_stored(job)  # it may be stored, and an agent begin it
        raise
    except MissingAsset:
        _forget_files(engine, job)
        raise
    if isinstance(added, Result) or added.blobs != job.blobs:
        with contextlib.suppress(BridgeError):  # they are of no use, and do no harm
            drop_unstored(engine, job)
    if isinstance(added, Result) or added.secrets != job.secrets:
        secret_data.forget(engine, job)
    check_same(added, admitted)


def first_with_its_key(board: Board, admitted: Admitted) -> Job | Result | None:
    """The job of an earlier request with the same idempotency key.

    Raises:
        IdempotencyConflict: that was another request.
        Busy: the time of its result is up, and the engine is about to remove it.
        EngineUnreachable
    """
    known = _known(board, str(admitted.prompt_id))
    if known is not None:
        check_same(known, admitted)
    if isinstance(known, Result) and known.webhook is None and known.expires_at <= time.time():
        raise Busy(REMOVED, prompt_id=known.id, retry_after=REMOVED_SECONDS)
    return known


def _known(board: Board, job_id: str) -> Job | Result | None:
    entry = board.entry(job_id)
    return entry.job if entry is not None else board.result(job_id)


def eta_of(presence: Presence, position: int | None) -> float | None:
    """Seconds until a waiting job will have run, from how long the agents take; None if none has run one."""
    agents = presence.living()
    means = [each.mean_seconds for each in agents if each.mean_seconds is not None]
    slots = sum(each.slots for each in agents)
    if not means or not slots or position is None:
        return None
    return sum(means) / len(means) * (1 + position / slots)


@dataclass(frozen=True)
class OnlyOnce:
    """A request whose idempotency key is refused to others for `KEY_SECONDS`, even to the same request.

    The key makes the id of its job, together with the day, so that no other record of keys is needed.

    Attributes:
        admitted: the request, with the id of its job. That is not the id of a request with the same key that may be
            repeated.
        earlier_id: the id of a job that was queued with the key the day before.
    """

    admitted: Admitted
    earlier_id: str

    @classmethod
    def of(cls, admitted: Admitted) -> OnlyOnce | None:
        """The request if it has an idempotency key; otherwise None."""
        key, day = admitted.asked.idempotency_key, int(time.time() // KEY_SECONDS)
        if key is None:
            return None

        def job_id(day: int) -> str:
            return str(uuid.uuid5(ONLY_ONCE, json.dumps([admitted.owner, key, day])))

        asked = replace(admitted.asked, idempotency_key=None)
        return cls(
            replace(admitted, asked=asked, prompt_id=job_id(day), fingerprint=uuid.uuid4().hex), job_id(day - 1)
        )

    def check_earlier(self, board: Board) -> None:
        """Refuse the request if its key is still in use since the day before.

        Raises:
            IdempotencyConflict
            EngineUnreachable
        """
        earlier = _known(board, self.earlier_id)
        if earlier is not None and time.time() - earlier.created < KEY_SECONDS:
            raise IdempotencyConflict(USED, prompt_id=earlier.id)


class Coming:
    """The jobs that are just being added under a key of their own. Safe to share between threads."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def alone(self, once: OnlyOnce | None) -> Iterator[None]:
        """Keep others from adding a job with the key of a request meanwhile.

        Raises:
            IdempotencyConflict: another one is being added.
        """
        ids = set() if once is None else {once.earlier_id, str(once.admitted.prompt_id)}
        with self._lock:
            if not self._ids.isdisjoint(ids):
                raise IdempotencyConflict(USED)
            self._ids |= ids
        try:
            yield
        finally:
            with self._lock:
                self._ids -= ids


class Room:
    """Limits how many jobs of one owner may wait. Safe to share between threads."""

    def __init__(self) -> None:
        self._coming: Counter[str | None] = Counter()  # jobs by owner that are not on the board yet
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def for_one_more(
        self, board: Board, rights: Rights | None, owner: str | None, eta: Callable[[], float | None]
    ) -> Iterator[None]:
        """Keep room for a job while it is added.

        Args:
            eta: estimates how many seconds it takes until another one may be added.

        Raises:
            Busy: its owner has as many as it may.
        """
        most = None if rights is None else rights.policy.max_waiting_jobs
        with self._lock:
            if rights is not None and most is not None and board.waiting_of(owner) + self._coming[owner] >= most:
                seconds = whole_seconds(eta() or RETRY_SECONDS)
                raise Busy(f"{rights.who} may have at most {most} waiting jobs.", retry_after=seconds)
            self._coming[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._coming[owner] -= 1


def _forget_files(engine: Engine, job: Job) -> None:
    if job.input_files or job.secrets:  # otherwise the caller would wait once more where the engine is away
        with contextlib.suppress(BridgeError):
            drop_unstored(engine, job)
            secret_data.forget(engine, job)


def check_same(known: Job | Result, admitted: Admitted) -> None:
    """Refuse a request that asks for something else than the earlier one with its idempotency key.

    Raises:
        IdempotencyConflict
    """
    if known.fingerprint != admitted.fingerprint:
        raise IdempotencyConflict(
            USED,
            prompt_id=known.id,
        )
