"""The records of a job, as the engine keeps them: the job, who has claimed it, and how it ended.

All are JSON. Fields that a reader does not know are ignored, so that processes of two versions can work together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

Kind = Literal["kept", "live"]
RequestIn = Literal["inline", "blob"]
ClaimState = Literal["running", "given_back", "ended"]
Ending = Literal["succeeded", "failed", "cancelled"]


class BrokenRecord(ValueError):
    """A record that cannot be read."""


@dataclass(frozen=True)
class Job:
    """What a bridge writes once.

    Attributes:
        id: also the id of its prompt.
        kind: "kept" outlives all processes; "live" is in memory, and its caller still holds the request.
        owner: the name of the caller's API key, or None.
        priority: 0 to 2; 2 goes first.
        created: seconds since 1970, for people.
        workflow: its name, for lists and logs.
        timeout: seconds that a run may take; of a live job, those left when it was published.
        attempts: how often it may be begun before it has failed.
        expires: seconds for which its result is kept.
        labels: the caller's own.
        webhook: the URL to which its result is sent.
        older_webhook: whether the webhook's body has ComfyLite's shape.
        base_url: the bridge's address, with which links in the webhook's body begin.
        fingerprint: of the request, if it had an idempotency key.
        classes: the node classes that it needs, as far as known.
        models: (node class, input, file name) of the models that it needs, as far as known.
        most_running: how many jobs of its owner may run at once; None: any number.
        is_followed: whether somebody wants to hear of the events of a live job.
        inbox: where the agent of a live job may send small files before the result, to save the bridge a call for
            them; each under `INBOX.ID.RUN.NUMBER`.
        request_in: where the request is: after the job in its message, or in a blob.
        input_files: how many input files it has, as blobs.
        blobs: how the names of its blobs end. With an idempotency key, other requests make blobs under its id too.
        keeps_graph: whether its result has the graph that ran.
        reads: the ids of the uploads in the engine that are its input files.
        secrets: the name under which a part of its request is kept in memory only; None: there is none.
    """

    id: str
    kind: Kind
    created: float
    workflow: str
    timeout: float
    owner: str | None = None
    priority: int = 1
    attempts: int = 3
    expires: float = 604800
    labels: dict[str, str] = field(default_factory=dict)
    webhook: str | None = None
    older_webhook: bool = False
    base_url: str | None = None
    fingerprint: str | None = None
    classes: tuple[str, ...] = ()
    models: tuple[tuple[str, str, str], ...] = ()
    most_running: int | None = None
    is_followed: bool = False
    inbox: str | None = None
    request_in: RequestIn = "inline"
    input_files: int = 0
    blobs: str = ""
    keeps_graph: bool = False
    reads: tuple[str, ...] = ()
    secrets: str | None = None

    @property
    def request_blob(self) -> str:
        """The name of the blob in which its request is, if it is in one."""
        return f"request{self.blobs}"

    @property
    def input_blobs(self) -> list[str]:
        """The names of the blobs that are its input files."""
        return [input_blob(number, self.blobs) for number in range(self.input_files)]

    def to_bytes(self) -> bytes:
        return _to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Raises BrokenRecord."""
        return _from_bytes(cls, data)


def input_blob(number: int, blobs: str) -> str:
    """The name of the blob that is an input file of a job; `blobs` is the job's."""
    return f"in-{number}{blobs}"


@dataclass(frozen=True)
class Claim:
    """What an agent writes about a job that it runs, or has run; and a bridge about one that is to be cancelled.

    Attributes:
        state: "ended" if the result of the job is stored, or about to be.
        agent: its id.
        session: its run: another one after each start.
        name: its name, for people.
        attempt: how many runs were begun, this one included; without those that were given back and don't count.
        since: seconds since 1970 when it took the job, for people.
        lacks: why agents could not run it, by the agent's id.
        sent: whether a ComfyUI may know its prompt from an earlier run.
        cancelled: whether the job is to end: it is not to be begun, and a prompt of it is interrupted.
    """

    state: ClaimState
    agent: str
    session: str
    name: str = ""
    attempt: int = 1
    since: float = 0
    lacks: dict[str, str] = field(default_factory=dict)
    sent: bool = False
    cancelled: bool = False

    def to_bytes(self) -> bytes:
        return _to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Claim:
        """Raises BrokenRecord."""
        return _from_bytes(cls, data)


@dataclass(frozen=True)
class Result:
    """The one record of a job that has ended, complete by itself.

    Attributes:
        started: when its last run began; None if none did. All times are seconds since 1970.
        attempts: how many runs were begun.
        agent: the name of the agent that ran it.
        agent_id: its id.
        error: see `errors.error_to_dict`.
        generation: see `results.record_of`.
        graph: see `graphs.keep_graph`.

    The others are those of the job.
    """

    id: str
    kind: Kind
    status: Ending
    created: float
    ended: float
    workflow: str
    started: float | None = None
    owner: str | None = None
    priority: int = 1
    expires: float = 604800
    labels: dict[str, str] = field(default_factory=dict)
    webhook: str | None = None
    older_webhook: bool = False
    base_url: str | None = None
    fingerprint: str | None = None
    attempts: int = 0
    agent: str | None = None
    agent_id: str | None = None
    error: dict[str, Any] | None = None
    generation: dict[str, Any] | None = None
    graph: str | None = None

    @property
    def expires_at(self) -> float:
        """Until when it is kept."""
        return self.ended + self.expires

    def to_bytes(self) -> bytes:
        return _to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Result:
        """Raises BrokenRecord."""
        return _from_bytes(cls, data)


def result_of(
    job: Job,
    status: Ending,
    *,
    ended: float,
    claim: Claim | None = None,
    error: dict[str, Any] | None = None,
    generation: dict[str, Any] | None = None,
    graph: str | None = None,
) -> Result:
    """The result of a job, run last as the claim says, if it ran at all."""
    ran = claim if claim is not None and claim.state == "running" else None
    return Result(
        id=job.id,
        kind=job.kind,
        status=status,
        created=job.created,
        started=None if ran is None else ran.since,
        ended=ended,
        workflow=job.workflow,
        owner=job.owner,
        priority=job.priority,
        expires=job.expires,
        labels=job.labels,
        webhook=job.webhook,
        older_webhook=job.older_webhook,
        base_url=job.base_url,
        fingerprint=job.fingerprint,
        attempts=0 if claim is None else claim.attempt,
        agent=None if ran is None else ran.name,
        agent_id=None if ran is None else ran.agent,
        error=error,
        generation=generation,
        graph=graph,
    )


Record = TypeVar("Record", Job, Claim, Result)


_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in (Job, Claim, Result)}


def _to_bytes(record: Job | Claim | Result) -> bytes:
    return _ADAPTERS[type(record).__name__].dump_json(record)


def _from_bytes(kind: type[Record], data: bytes) -> Record:
    try:
        record: Record = _ADAPTERS[kind.__name__].validate_json(data)
    except ValidationError as error:
        raise BrokenRecord(f"not a {kind.__name__.lower()}: {error.error_count()} errors") from None
    return record
