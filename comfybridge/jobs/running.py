"""One run of a job by an agent, from its claim to its one result, or back into the queue."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.errors import (
    BridgeError,
    Busy,
    ComfyUIUnreachable,
    EngineUnreachable,
    ExecutionFailed,
    InternalError,
    Interrupted,
    ModelMissing,
    PromptLost,
    ShuttingDown,
    forget_frames,
)
from comfybridge.jobs import secret_data
from comfybridge.jobs.errors import error_to_dict
from comfybridge.jobs.graphs import keep_graph
from comfybridge.jobs.job import Ending, Result, result_of
from comfybridge.jobs.live_files import send_small
from comfybridge.jobs.queue import Claimed, JobQueue
from comfybridge.jobs.requests import unpack
from comfybridge.jobs.results import Stored, has_file, record_of, run_prefix
from comfybridge.jobs.stored_files import opener
from comfybridge.jobs.storing import StoreFull, store
from comfybridge.jobs.telling import Tidings
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.giving_up import Abandoned
from comfybridge.prompts.telling import Teller
from comfybridge.request import Generation, Trace

log = logging.getLogger(__name__)

T = TypeVar("T")

NOT_MINE = "The job has ended, or another agent runs it."
CANCELLED = "The job was cancelled."
KEY_LOST = (
    "The API key that came with the job was kept in the engine's memory only, and is lost, because the engine was "
    "restarted; submit the job again."
)
LEAVING = "The agent is being stopped."
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 2.0
FIRST_CANCEL_PAUSE = 1.0  # seconds until ComfyUI is told again to interrupt a prompt that has not ended
LONGEST_CANCEL_PAUSE = 8.0


Hindrance = Literal["unreachable", "busy", "lacking"]


class _Lost(Exception):
    """The job must not run here any longer, and its result is somebody else's."""


@dataclass(frozen=True)
class Surroundings:
    """What all runs of an agent share.

    Attributes:
        keep: keeps the files of a live job for those who will read them.
        others: whether a living agent is left to run a job that this one can't, by those who could not either.
        is_stopping: whether the agent gives up what cannot be done at once.
    """

    bridge: Bridge
    engine: Engine
    queue: JobQueue
    keep: Callable[[str, Generation], None]
    others: Callable[[set[str]], bool]
    is_stopping: Callable[[], bool]


class Run:
    """A job that this process has claimed. Safe to share between threads.

    Attributes:
        ended: how it ended here: the result's status, `given_back` or `lost`; None while it runs.
        error: why it did not succeed.
        hindrance: why this agent cannot run it now; None if that is not why it ended.
        tidings: what is told of it.
        trace: how far it has come.
        result: how the job has ended, if it has by this run.
        holds_slot: whether it still keeps others from running.
    """

    def __init__(
        self, claimed: Claimed, around: Surroundings, tidings: Tidings, has_run: Callable[[Run], None]
    ) -> None:
        self.claimed = claimed
        self.job = claimed.job
        self.ended: str | None = None
        self.error: BridgeError | None = None
        self.hindrance: Hindrance | None = None
        self.trace = Trace()
        self.result: Result | None = None
        self.holds_slot = True
        self._around = around
        self._is_followed = self.job.kind == "kept" or self.job.is_followed
        self.tidings = tidings
        self._teller = Teller(tidings.tell, is_followed=self._is_followed, tells_position=tidings.is_watched)
        self._has_run = has_run
        self._run = uuid.uuid4().hex[:8]
        self._lost = threading.Event()
        self._has_ended = threading.Event()
        self._admitted: Admitted | None = None
        self._lock = threading.Lock()
        self._is_left = False
        self._is_cancelled = False

    def lose(self) -> None:
        """Stop, because the job has ended or was given to another agent. Does not block."""
        self._lost.set()
        threading.Thread(target=self._abandon, args=[NOT_MINE], name="comfybridge canceller", daemon=True).start()

    def cancel(self) -> None:
        """Have ComfyUI interrupt its prompt, and end as that ends. Does not block; may be called again."""
        with self._lock:
            self._is_cancelled, was = True, self._is_cancelled
            admitted = self._admitted
        if admitted is not None and not was:
            threading.Thread(target=self._cancel, args=[admitted], name="comfybridge canceller", daemon=True).start()

    def _cancel(self, admitted: Admitted) -> None:
        pause = FIRST_CANCEL_PAUSE
        while not self._has_ended.is_set():
            self._around.bridge.cancel(admitted)
            self._has_ended.wait(pause)
            pause = min(2 * pause, LONGEST_CANCEL_PAUSE)

    def leave(self, *, keep: bool) -> None:
        """Give the job back, because the agent is being stopped.

        Args:
            keep: whether its prompt is left in ComfyUI.
        """
        self._is_left = True
        self.trace.is_left = keep
        self._abandon(LEAVING)

    def _abandon(self, why: str) -> None:
        with self._lock:
            admitted = self._admitted
        if admitted is not None:
            self._around.bridge.under_way.abandon(admitted, why)

    def tick(self) -> None:
        """Tell how far it is, while ComfyUI tells nothing."""
        self._teller.still()
        self.tidings.catch_up()

    def work(self) -> None:
        """Run it, and store how it ended. Never raises."""
        try:
            self.ended = self._worked()
        except _Lost:
            self.ended = "lost"
        except EngineUnreachable as error:  # while the agent ends: others will notice that
            self.ended, self.error = "lost", error
        except BaseException:
            log.exception("A bug in the bridge")
            self.ended, self.error = "lost", InternalError("Something went wrong inside the agent.")
        finally:
            self._has_ended.set()

    def _worked(self) -> str:
        if self.claimed.is_exhausted and not self._is_cancelled:
            times = "once" if self.job.attempts == 1 else f"{self.job.attempts} times"
            sentence = f"The job was begun {times}, and its agent ended while it ran each time."
            return self._end("failed", error=ExecutionFailed(sentence, prompt_id=self.job.id))
        try:
            admitted = self._admit()
            with self._around.bridge.telling(admitted, self._teller) as generation:
                return self._store(admitted, generation)
        except EngineUnreachable:
            raise
        except BridgeError as error:
            forget_frames(error)
            return self._failed(error)
        except _Lost:
            raise
        except Exception:
            log.exception("A bug in the bridge")
            sentence = "Something went wrong inside the agent; its log has the details."
            return self._end("failed", error=InternalError(sentence, prompt_id=self.job.id))

    # -- running -------------------------------------------------------------------------------------------------

    def _admit(self) -> Admitted:
        """The request as the bridge admitted it."""
        queue, engine, job = self._around.queue, self._around.engine, self.job
        try:
            data = self._persist(lambda: queue.request_of(job))
            admitted = unpack(
                data,
                lambda name: self._persist(lambda: b"".join(engine.read_blob(job.id, name))),
                opener(engine, self._around.bridge.servers, Deadline(job.timeout), self._persist, self._pause),
                prompt_id=job.id,
                seconds=job.timeout,  # a bridge cancels a live job whose caller has waited for long enough
                is_followed=self._is_followed,
                is_repeat=not self.claimed.is_first,
            )
        except LookupError:
            if queue.board.entry(job.id) is None:  # it was cancelled meanwhile
                raise _Lost from None
            raise InternalError("The job's request, or a file of it, is not in the store any more.") from None
        admitted = self._with_secrets(_ending_with_its_job(admitted))
        with self._lock:
            self._admitted, self.trace = admitted, admitted.trace
            self.trace.is_cancelled = self._is_cancelled
        self._check_goes_on()
        if self._is_left:
            raise ShuttingDown(LEAVING)
        return admitted

    def _with_secrets(self, admitted: Admitted) -> Admitted:
        if self.job.secrets is None:
            return admitted
        try:
            secrets = self._persist(lambda: secret_data.read(self._around.engine, self.job))
        except LookupError:
            self._check_goes_on()
            raise ExecutionFailed(KEY_LOST) from None
        extra_data = {**admitted.asked.extra_data, **secrets}
        return replace(admitted, asked=replace(admitted.asked, extra_data=extra_data))

    def _store(self, admitted: Admitted, generation: Generation) -> str:
        self._has_run(self)
        job, around = self.job, self._around
        if job.kind == "live":
            if any(map(has_file, generation.outputs)):
                around.keep(job.id, generation)
                if job.inbox is not None:
                    send_small(generation.outputs, f"{job.inbox}.{job.id}.{self._run}", around.engine)
            return self._end("succeeded", generation=record_of(generation, admitted.asked, self._run))
        began = time.monotonic()

        def try_to_store() -> dict[int, Stored]:
            nonlocal began
            now = time.monotonic()
            admitted.deadline.extend(now - began)  # an engine that is away takes no time from ComfyUI
            began = now
            return store(generation, job, self._run, around.engine, self._check_goes_on)

        stored = self._persist(try_to_store)
        return self._end("succeeded", generation=record_of(generation, admitted.asked, self._run, stored))

    # -- ending --------------------------------------------------------------------------------------------------

    def _failed(self, error: BridgeError) -> str:
        self.error = error
        self._check_goes_on()
        if self._is_left and isinstance(error, (Abandoned, ShuttingDown)):
            self.error = None
            return self._give_back(counts=False)
        job, claim = self.job, self.claimed.claim
        error.prompt_id = error.prompt_id or job.id
        is_out_of_reach = isinstance(error, ComfyUIUnreachable)
        is_busy = isinstance(error, (Busy, ShuttingDown)) and not isinstance(error, StoreFull)
        self.hindrance = "unreachable" if is_out_of_reach else "busy" if is_busy else None
        if is_busy or (is_out_of_reach and self.trace.sent_as is None):
            return self._give_back(counts=False)
        if error.lacks is not None or isinstance(
            error, ModelMissing
        ):  # a template's model has stand-ins, so none asked
            self.hindrance = "lacking"
            if self._around.others({*claim.lacks, claim.agent}):
                return self._give_back(counts=False, lacks=error.message)
        is_lost = is_out_of_reach or isinstance(error, PromptLost)
        # or it was interrupted by an agent that was thought dead, and has the same ComfyUI
        is_foreign = isinstance(error, Interrupted) and not self.claimed.is_first
        is_lost = is_lost or is_foreign
        if is_lost and (claim.attempt < job.attempts or self._is_cancelled):
            return self._give_back(counts=True)
        return self._end("cancelled" if isinstance(error, Interrupted) else "failed", error=error)

    def _give_back(self, *, counts: bool, lacks: str | None = None) -> str:
        if self._is_cancelled and self.error is not None and not isinstance(self.error, ShuttingDown):
            return self._end("cancelled", error=Interrupted(CANCELLED, prompt_id=self.job.id))
        claimed, was_sent = self.claimed, self.trace.sent_as is not None
        self._persist(lambda: self._around.queue.give_back(claimed, counts=counts, sent=was_sent, lacks=lacks))
        return "given_back"

    def _end(self, status: Ending, error: BridgeError | None = None, generation: dict[str, Any] | None = None) -> str:
        self.error = error
        told = None if error is None else error_to_dict(error)
        graph = self._persist(
            lambda: keep_graph(self._around.engine, self.job, self._around.queue.request_of, self.trace.graph)
        )
        result = result_of(
            self.job,
            status,
            ended=time.time(),
            claim=self.claimed.claim,
            error=told,
            generation=generation,
            graph=graph,
        )
        if self.claimed.is_exhausted:
            result = replace(result, attempts=self.job.attempts)
        is_first = False
        try:
            is_first = self._persist(lambda: self._around.queue.end(self.claimed, result))
        finally:
            if self.job.kind == "kept" and not (is_first and status == "succeeded"):
                self._drop_files()
        if not is_first:
            return "lost"
        self.result = result
        return status

    def _drop_files(self) -> None:
        with contextlib.suppress(BridgeError):  # an agent may have no right to; they expire
            self._around.engine.drop_blobs(self.job.id, f"{run_prefix(self._run)}*")

    # -- while the engine is away --------------------------------------------------------------------------------

    def _persist(self, call: Callable[[], T]) -> T:
        """Call until the engine answers, or there is no reason to any longer."""
        pause = FIRST_PAUSE
        while True:
            self._check_goes_on()
            try:
                return call()
            except EngineUnreachable:
                if self._around.is_stopping():
                    raise
            self._lost.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _pause(self, seconds: float) -> None:
        self._lost.wait(seconds)
        self._check_goes_on()
        if self._is_left:
            raise ShuttingDown(LEAVING)

    def _check_goes_on(self) -> None:
        if self._lost.is_set():
            raise _Lost


def _ending_with_its_job(admitted: Admitted) -> Admitted:
    """A request whose prompt is cancelled with its job, and when the job's time is up: that is long where it is kept.

    With an idempotency key, ComfyUI may have its prompt already.
    """
    has_key = admitted.asked.idempotency_key is not None
    asked = replace(admitted.asked, on_timeout="cancel", idempotency_key=None)
    return replace(admitted, asked=asked, is_repeat=admitted.is_repeat or has_key)
