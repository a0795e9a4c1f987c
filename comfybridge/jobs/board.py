"""The mirror of the jobs that one process keeps in memory, fed by the engine's messages."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from comfybridge.engine.messages import Message
from comfybridge.jobs.choosing import Need, Place, Waiting
from comfybridge.jobs.first_result import lifetime
from comfybridge.jobs.job import BrokenRecord, Claim, Job, Kind, Result
from comfybridge.jobs.past import Past, PastJobs
from comfybridge.jobs.subjects import LIVE_RESULT_SECONDS

log = logging.getLogger(__name__)

What = Literal["queued", "claimed", "given_back", "ended", "gone"]
State = Literal["queued", "running", "ended"]
Stream = Literal["kept", "live", "results"]  # of jobs (and live results), and of the results of kept jobs
Hear = Callable[[str, What], None]

_NOTHING: set[str] = set()
POSITIONS_SECONDS = 0.5  # for which positions are used again, as 10,000 take some 20 ms
FEW = 30  # of so many jobs, positions are always those of the moment


@dataclass
class Entry:
    """An open job. Only the board changes it.

    Attributes:
        sequence: of the job's message in its stream.
        at: when the engine stored it, by its clock.
        place: where it waits, if it waits.
        request: that of a live job, if it lies in its message; of kept ones there are too many.
        claim: the last one, if any; also of a dead agent.
        claim_sequence: 0 without a claim.
        claimed: when the claim was made, in seconds of the monotonic clock; 0 if before this process listened.
        waits_since: since when it waits, likewise.
        state: "running" while a living agent has claimed it; "ended" if an agent says that it has stored a result.
    """

    job: Job
    sequence: int
    at: float
    place: Place
    request: bytes | None = None
    claim: Claim | None = None
    claim_sequence: int = 0
    claimed: float = 0.0
    waits_since: float = field(default_factory=time.monotonic)
    state: State = "queued"

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def is_cancelled(self) -> bool:
        """Whether the job is to end without running any further."""
        return self.claim is not None and self.claim.cancelled


class Board:
    """All jobs that this process knows of. Methods may be called by any thread; callbacks must be quick.

    Args:
        is_abandoned: whether the agent that has claimed an entry does not run it any more.
        ended: called with each open job, and its message's sequence, whose result is there.
        repeated: called likewise with a job that has the id of an earlier one, whose result should be there. It is
            not open for now.
        stray: called with the kind and the id of a job that is not open and has a claim.
        fetch: asks the engine for the whole result of a job.
    """

    def __init__(
        self,
        is_abandoned: Callable[[Entry], bool] = lambda entry: False,
        ended: Callable[[Job, int], None] = lambda job, sequence: None,
        repeated: Callable[[Job, int], None] = lambda job, sequence: None,
        stray: Callable[[Kind, str], None] = lambda kind, job_id: None,
        fetch: Callable[[Past], Message | None] = lambda past: None,
    ) -> None:
        self._is_abandoned = is_abandoned
        self._ended = ended
        self._repeated = repeated
        self._stray = stray
        self._fetch = fetch
        self._changed = threading.Condition(threading.RLock())
        self._entries: dict[str, Entry] = {}
        self._running: dict[str, Entry] = {}  # and those whose agent is dead
        self._waiting = Waiting()
        self._past = PastJobs()
        self._broken: set[str] = set()
        self._stale_jobs: dict[Stream, set[str]] = {}  # those that have not come again yet
        self._stale_results: dict[Stream, set[str]] = {}
        self._needs: dict[Need, Need] = {}
        self._latest: dict[str, float] = {}  # the time of the last message, by kind
        self._listeners: dict[str | None, list[Hear]] = {}
        self._positions: dict[str, int] = {}
        self._positions_of = (-1, 0.0)  # the version that they are of, and when they were worked out
        self.version = 0  # another one after each change
        self.past_claims: set[Stream] = {"kept", "live"}  # those whose claims heard now may be old

    # -- what others ask ---------------------------------------------------------------------------------------------

    def entry(self, job_id: str) -> Entry | None:
        """An open job."""
        return self._entries.get(job_id)

    def look(self, job_id: str) -> Entry | None:
        """A copy of an open job's entry, all of it of the same moment."""
        with self._changed:
            entry = self._entries.get(job_id)
            return None if entry is None else replace(entry)

    def knows(self, job_id: str) -> bool:
        """Whether there is a job of that id, open or ended, whose result the engine has not removed yet."""
        with self._changed:
            past = self._past.find(job_id)
            return job_id in self._entries or (past is not None and past.removed > time.time())

    def open(self) -> list[Entry]:
        """All open jobs, in no order."""
        with self._changed:
            return list(self._entries.values())

    def past(self, owner: str | None) -> Iterator[Past]:
        """The kept jobs of an owner (None: of all) that have ended, the newest (by `created`) first.

        Only a bridge's board has them.
        """
        with self._changed:
            ids = self._past.newest(owner)
        now = time.time()
        for job_id in ids:
            past = self.find_past(job_id)
            if past is not None and past.until > now:
                yield past

    def find_past(self, job_id: str) -> Past | None:
        """What is known at once of a job that has ended."""
        with self._changed:
            return self._past.find(job_id)

    def result(self, job_id: str) -> Result | None:
        """How a job ended; None if it has not, or that is no longer kept.

        Raises:
            EngineUnreachable: it is not in memory, or its time is up, and the engine does not answer.
        """
        with self._changed:
            past, whole = self._past.find(job_id), self._past.whole(job_id)
        if past is None or (whole is not None and past.until > time.time()):
            return whole
        message = self._fetch(past)  # also where its time is up: with a webhook, it is kept for longer
        result = None if message is None else _read(Result, message)
        with self._changed:
            if result is None:
                self._past.discard(job_id)
            elif job_id in self._past:
                self._past.remember(result)
        return result

    def position(self, job_id: str) -> int | None:
        """How many waiting jobs go before this one, if nothing changes; None if it does not wait.

        Of the last half second if many wait, and quick.
        """
        with self._changed:
            version, at = self._positions_of
            seconds = 0.0 if len(self._entries) <= FEW else POSITIONS_SECONDS
            if version != self.version and time.monotonic() - at >= seconds:
                self._positions = {each: number for number, each in enumerate(self._waiting.order())}
                self._positions_of = (self.version, time.monotonic())
            entry = self._entries.get(job_id)
            if entry is None or entry.state != "queued":
                return None
            return self._positions.get(job_id, len(self._positions))

    def counts(self) -> dict[tuple[Kind, str], int]:
        """How many open jobs there are by kind and state: "queued" or "running"."""
        return Counter((each.job.kind, each.state) for each in self.open() if each.state != "ended")

    def count(self) -> int:
        """How many jobs are open."""
        return len(self._entries)

    def waiting_of(self, owner: str | None) -> int:
        """How many jobs of an owner wait."""
        with self._changed:
            return self._waiting.count(owner or "")

    def oldest(self) -> float | None:
        """For how many seconds the oldest waiting kept job has waited; None if none waits."""
        waiting = [each.job.created for each in self.open() if each.state == "queued" and each.job.kind == "kept"]
        return max(0.0, time.time() - min(waiting)) if waiting else None

    def running_by_agent(self) -> Counter[str]:
        """How many jobs each agent, by its id, has claimed and not given back."""
        with self._changed:
            return Counter(each.claim.agent for each in self._running.values() if each.claim is not None)

    def first(
        self, most: int, can_run: Callable[[Need], bool], is_free: Callable[[Entry], bool] = lambda entry: True
    ) -> list[Entry]:
        """Copies of the entries that go next, at most so many, of those that can be run and are free."""
        with self._changed:
            ids = self._waiting.order(can_run, lambda job_id: is_free(self._entries[job_id]))
            return [replace(self._entries[each]) for each in itertools.islice(ids, most)]

    # -- waiting for changes -----------------------------------------------------------------------------------------

    def wait(self, job_id: str, is_so: Callable[[], object], seconds: float) -> bool:
        """Wait until a condition on this job is true; it is tried again at each of the job's changes.

        Args:
            is_so: be quick, as it is also called in the engine's thread, which spares this one a look at each change.

        Returns:
            Whether it became true in time.
        """
        until = time.monotonic() + seconds
        event = threading.Event()

        def hear(_: str, __: What) -> None:
            if is_so():
                event.set()

        forget = self.changes(hear, job_id)
        try:
            while not is_so():
                if not event.wait(max(0.0, until - time.monotonic())):
                    return bool(is_so())
                event.clear()
            return True
        finally:
            forget()

    def wait_for_change(self, version: int, seconds: float) -> int:
        """Wait until the version is another one than this, or the time is over. Returns the version then."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != version, seconds)
            return self.version

    def changes(self, hear: Hear, job_id: str | None = None) -> Callable[[], None]:
        """Call `hear(job id, what)` at each change, of one job or of all, mostly in the engine's thread.

        Returns:
            What ends that.
        """

        def forget() -> None:
            with self._changed:
                heard = self._listeners.get(job_id, [])
                if hear in heard:
                    heard.remove(hear)
                if not heard:
                    self._listeners.pop(job_id, None)

        with self._changed:
            self._listeners.setdefault(job_id, []).append(hear)
        return forget

    def touch(self) -> None:
        """Let those who wait for a change look again."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

    # -- what feeds it -----------------------------------------------------------------------------------------------

    def hear(self, message: Message) -> None:
        """Take in a job, a claim or a result. Those that are broken, or older than what is known, change nothing."""
        parts = message.subject.split(".")
        kind: Kind = "live" if parts[1] == "live" else "kept"
        job_id = parts[-1]
        try:
            if parts[2] == "job":
                self._hear_job(kind, job_id, message)
            elif parts[2] == "claim":
                self._hear_claim(kind, job_id, message)
            elif parts[2] == "result" and message.data:
                self._hear_result(message)
        except BrokenRecord as error:
            self._broken.add(job_id)
            log.warning("a record in the engine is skipped: %s (%s)", error, message.subject)

    def begin_again(self, stream: Stream) -> None:
        """All that is in a stream comes again; `caught_up` then forgets what did not come."""
        with self._changed:
            if stream != "results":
                self.past_claims.add(stream)
                self._stale_jobs[stream] = {each.job.id for each in self._entries.values() if each.job.kind == stream}
            if stream != "kept":
                self._stale_results[stream] = self._past.ids("live" if stream == "live" else "kept")

    def caught_up(self, stream: Stream) -> list[str]:
        """All that was in a stream has come. Returns the ids of the open jobs that the engine has no longer."""
        with self._changed:
            if stream != "results":
                self.past_claims.discard(stream)
            gone = [each for each in self._stale_jobs.pop(stream, ()) if each in self._entries]
            for job_id in gone:
                self._remove(self._entries[job_id])
            for job_id in self._stale_results.pop(stream, ()):
                self._past.discard(job_id)
        for job_id in gone:
            self._tell(job_id, "gone")
        return gone

    def review(self) -> None:
        """Ask again of each claim whether its agent still runs it; those that are abandoned wait again."""
        with self._changed:
            moved = [each for each in self._running.values() if self._is_abandoned(each) == each.is_running]
            for entry in moved:
                self._move(entry, "queued" if entry.is_running else "running")
        for entry in moved:
            self._tell(entry.job.id, "claimed" if entry.is_running else "given_back")

    def forget_claim(self, job_id: str, sequence: int) -> None:
        """A claim with that sequence is no longer in the engine, though its job is: nobody has claimed the job."""
        with self._changed:
            entry = self._entries.get(job_id)
            if entry is None or entry.claim_sequence != sequence:
                return
            self._running.pop(job_id, None)
            entry.claim, entry.claim_sequence = None, 0
            self._move(entry, "queued")
        self._tell(job_id, "given_back")

    def forget_result(self, job_id: str) -> None:
        """A result is no longer in the engine."""
        with self._changed:
            self._past.discard(job_id)

    def _hear_job(self, kind: Kind, job_id: str, message: Message) -> None:
        with self._changed:
            known = self._entries.get(job_id)
            stale = self._stale_jobs.get(kind, _NOTHING)
            is_stale = job_id in stale
            stale.discard(job_id)
            if known is not None and is_stale:
                if (known.sequence, known.at) == (message.sequence, message.at):
                    return
            elif known is not None and known.sequence >= message.sequence:
                return
            if known is not None:
                self._remove(known)
            elif not message.data:
                return  # its result was heard before
            if not message.data:
                what: What = "ended"
            else:
                job = Job.from_bytes(message.data.partition(b"\n")[0])
                if job.id != job_id or job.kind != kind:
                    raise BrokenRecord("its subject is another one's")
                past = self._past.find(job_id)
                if past is not None and past.until > message.at:
                    tell = self._ended if past.created == job.created else self._repeated
                    tell(job, message.sequence)
                    return
                self._past.discard(job_id)  # its key came again, after the engine had removed that result
                self._add(job, message)
                what = "queued"
        self._tell(job_id, what)

    def _hear_claim(self, kind: Kind, job_id: str, message: Message) -> None:
        if not message.data:
            return
        with self._changed:
            entry = self._entries.get(job_id)
            if entry is None:
                if job_id not in self._broken:
                    self._stray(kind, job_id)
                return
            if entry.claim_sequence >= message.sequence or entry.job.kind != kind:
                return
            claim = Claim.from_bytes(message.data)
            self._move(entry, "ended")
            entry.claim, entry.claim_sequence = claim, message.sequence
            entry.claimed = 0.0 if kind in self.past_claims else time.monotonic()
            what: What = "ended"
            if claim.state == "running":
                self._running[job_id] = entry
                abandoned = self._is_abandoned(entry)
                self._move(entry, "queued" if abandoned else "running", max(message.at, self._latest[kind]))
                what = "claimed"
            elif claim.state == "given_back":
                self._running.pop(job_id, None)
                self._move(entry, "queued")
                what = "given_back"
            else:
                self._running.pop(job_id, None)
        self._tell(job_id, what)

    def _hear_result(self, message: Message) -> None:
        result = Result.from_bytes(message.data)
        with self._changed:
            for stale in self._stale_results.values():
                stale.discard(result.id)
            expires = result.expires if result.kind == "kept" else LIVE_RESULT_SECONDS
            self._past.add(result, message.subject, message.at + expires, message.at + lifetime(result))
            entry = self._entries.get(result.id)
            if entry is not None:
                self._remove(entry)
                self._ended(entry.job, entry.sequence)
        self._tell(result.id, "ended")

    def _add(self, job: Job, message: Message) -> None:
        """Put a new job in its line."""
        at = max(message.at, self._latest.get(job.kind, 0.0))  # a clock that was set back changes no order
        self._latest[job.kind] = at
        need = Need(job.classes, job.models, job.most_running)
        if len(self._needs) > 1000:
            self._needs.clear()
        need = self._needs.setdefault(need, need)
        place = Place(job.priority, job.owner or "", need, (at, message.sequence, job.id))
        is_here = job.kind == "live" and job.request_in == "inline"
        request = message.data.partition(b"\n")[2] if is_here else None
        self._entries[job.id] = Entry(job, message.sequence, message.at, place, request)
        self._waiting.add(place)

    def _move(self, entry: Entry, state: State, at: float = 0.0) -> None:
        """Change the state of an entry."""
        if entry.state == "queued":
            self._waiting.discard(entry.place)
        elif entry.state == "running":
            self._waiting.stopped(entry.place.owner)
        entry.state = state
        if state == "queued":
            entry.waits_since = time.monotonic()
            self._waiting.add(entry.place)
        elif state == "running":
            self._waiting.began(entry.place.owner, at)

    def _remove(self, entry: Entry) -> None:
        self._move(entry, "ended")
        self._running.pop(entry.job.id, None)
        self._entries.pop(entry.job.id, None)

    def _tell(self, job_id: str, what: What) -> None:
        """Tell of a change, without the lock."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()
            listeners = [*self._listeners.get(job_id, ()), *self._listeners.get(None, ())]
        for hear in listeners:
            hear(job_id, what)


def _read(kind: type[Result], message: Message) -> Result | None:
    try:
        return kind.from_bytes(message.data)
    except BrokenRecord as error:
        log.warning("a record in the engine is skipped: %s (%s)", error, message.subject)
        return None
