"""Requests for several prompts: they are queued one after another, and each is waited for in a thread of its own.

Each prompt goes the way of a request for one, with an `Admitted` of its own; what makes them one request is in this
file: one slot, one turn of the rate, one trace, one moment at which the time is up, and one end if one of them fails.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from comfybridge.comfyui import events
from comfybridge.comfyui.outcome import Outcome
from comfybridge.comfyui.servers import Servers
from comfybridge.comfyui.waiting.waiter import OnEvent
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ShuttingDown
from comfybridge.files.inputs import Brought
from comfybridge.policy.rights import Turn
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.dispatching import Dispatcher
from comfybridge.prompts.giving_up import CANCEL_PATIENCE_SECONDS, Abandoned, try_to_drop
from comfybridge.prompts.seeds import NO_SEED, Seeds
from comfybridge.prompts.submission import OnQueued, Place, Submission
from comfybridge.prompts.under_way import LAST_CANCEL_SECONDS, UnderWay
from comfybridge.request import Generation, GenerationRequest, Timings

MOST = 64

# Waits for a prompt until it has ended, in whichever submission that is.
WaitOut = Callable[[Submission, OnEvent | None, OnQueued], tuple[Submission, Outcome]]
Collect = Callable[[Submission, Outcome], Generation]
# Both in a row.
Make = Callable[[Submission, OnEvent | None, OnQueued], tuple[Submission, Generation]]


class Several:
    """Runs requests for several prompts. Safe to share between threads.

    Args:
        wait_out: how one prompt is waited for.
        collect: how its outputs are collected.
    """

    def __init__(
        self, servers: Servers, dispatcher: Dispatcher, under_way: UnderWay, wait_out: WaitOut, collect: Collect
    ) -> None:
        self._servers = servers
        self._dispatcher = dispatcher
        self._under_way = under_way
        self._wait_out = wait_out
        self._collect = collect

    def submit(self, admitted: Admitted, place: Place, turn: Turn) -> Submission:
        """Queue all prompts of a request.

        Returns:
            The first one's submission, with `parts`; to close it closes them all.

        Raises:
            BridgeError: one could not be queued, as `Bridge.submit` tells; those before it are cancelled, unless
                they would be kept on a timeout too. The place is left to the caller.
        """
        asked = admitted.asked
        if not admitted.may_be_queued:  # otherwise they may be queued already
            self._servers.check_room(asked.n)
        brought = Brought()
        queued: list[Submission] = []
        try:
            queued.append(self._queue(admitted, asked, 0, brought, place, turn))
            seeds = Seeds.after(queued[0])
            if seeds is None:
                queued[0].warnings.append(NO_SEED.format(n=asked.n))
            for part in range(1, asked.n):
                if admitted.trace.given_up is not None:
                    raise Abandoned(admitted.trace.given_up)
                params = asked.params if seeds is None else seeds.params(asked.params, part)
                with _named(part, asked.n, None if seeds is None else seeds.of(part)):
                    another = Place(None)
                    try:
                        queued.append(
                            self._queue(admitted, replace(asked, params=params), part, brought, another, Turn(None))
                        )
                    except BaseException:
                        another.leave()
                        raise
        except BaseException as error:
            self._drop(queued, LAST_CANCEL_SECONDS if isinstance(error, ShuttingDown) else CANCEL_PATIENCE_SECONDS)
            raise
        admitted.trace.prompt_id, admitted.trace.params = queued[0].prompt.id, queued[0].filled.params
        return replace(queued[0], admitted=admitted, parts=tuple(queued))

    @contextlib.contextmanager
    def finishing(
        self, whole: Submission, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> Iterator[Generation]:
        """`Bridge.finishing` for a request with `parts`.

        Args:
            on_event: called in this thread, with events that all name their prompt.
            on_queued_again: called in this thread with each submission that takes the place of a part.
        """
        with contextlib.ExitStack() as held:
            held.enter_context(whole)
            made = []
            for submission, generation in self._wait_for_all(whole, on_event, on_queued_again):
                held.enter_context(submission)
                made.append(generation)
            try:
                yield _together(made, whole)
            except BridgeError as error:  # of a file that could not be fetched
                raise whole.about(error) from None

    def _queue(
        self,
        admitted: Admitted,
        asked: GenerationRequest,
        part: int,
        brought: Brought,
        place: Place,
        turn: Turn,
    ) -> Submission:
        # a deadline of its own, because it knows on which connection its thread waits
        deadline = Deadline(admitted.deadline.seconds, admitted.deadline.started)
        mine = replace(admitted, asked=asked, deadline=deadline, part=part, brought=brought, parts=[])
        admitted.parts.append(mine)
        return self._dispatcher.submit(mine, place, turn)

    def _drop(self, queued: Sequence[Submission], patience: float) -> None:
        """Give up prompts that nobody waits for yet."""
        for each in queued:
            self._under_way.remove(each)
            each.close()

        def drop() -> None:
            for each in queued:
                if not each.request.outlasts_its_time:
                    try_to_drop(each.server.canceller, each.prompt.id, patience)

        dropping = threading.Thread(target=drop, name="comfybridge canceller", daemon=True)
        dropping.start()
        dropping.join(patience)

    def _make(
        self, deadline: Deadline, submission: Submission, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> tuple[Submission, Generation]:
        """Wait for a prompt, and collect its outputs, which are to be fetched by the request's own deadline."""
        submission, outcome = self._wait_out(submission, on_event, on_queued_again)
        try:
            of_all = replace(submission, admitted=replace(submission.admitted, deadline=deadline))
            return submission, self._collect(of_all, outcome)
        except BaseException:
            submission.close()
            raise

    def _wait_for_all(
        self, whole: Submission, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> list[tuple[Submission, Generation]]:
        """What each prompt made, and the submission that led to it.

        Raises:
            BridgeError: one has failed, and the others are given up.
        """
        inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        make = partial(self._make, whole.deadline)
        waiting = [_Waiting(each, make, inbox, on_event, on_queued_again) for each in whole.parts]
        try:
            while any(each.made is None for each in waiting):
                inbox.get()()
                for each in waiting:
                    if each.error is not None:
                        with _named_as(each.submission, whole):
                            raise each.error
        except BaseException as error:
            self._give_up(whole, waiting, error)
            raise
        return [(each.submission, each.made) for each in waiting if each.made is not None]

    def _give_up(self, whole: Submission, waiting: Sequence[_Waiting], error: BaseException) -> None:
        """End all waiting; on shutdown, wait for the prompts to be cancelled, and otherwise only for a moment."""
        self._under_way.abandon(whole.admitted)
        patience = LAST_CANCEL_SECONDS if isinstance(error, ShuttingDown) else CANCEL_PATIENCE_SECONDS
        until = time.monotonic() + patience
        for each in waiting:
            each.thread.join(max(0.0, until - time.monotonic()))


class _Waiting:
    """A thread that waits for one prompt; all that the caller is to know is done by what it puts into the inbox.

    Attributes:
        submission: that of the prompt, or of the one that took its place.
        made, error: how it ended; None until then.
    """

    def __init__(
        self,
        submission: Submission,
        make: Make,
        inbox: queue.SimpleQueue[Callable[[], object]],
        on_event: OnEvent | None,
        on_queued_again: OnQueued,
    ) -> None:
        self.submission = submission
        self.made: Generation | None = None
        self.error: BaseException | None = None
        self._make = make
        self._inbox = inbox
        self._on_event = on_event
        self._on_queued_again = on_queued_again
        self.thread = threading.Thread(target=self._run, name="comfybridge prompt", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        error: BaseException | None = None
        ended: tuple[Submission, Generation] | None = None
        try:
            ended = self._make(self.submission, None if self._on_event is None else self._hear, self._queued_again)
        except BaseException as failure:
            error = failure

        def end() -> None:
            self.error = error
            if ended is not None:
                self.submission, self.made = ended

        self._inbox.put(end)

    def _hear(self, event: events.Event) -> None:
        on_event = self._on_event
        assert on_event is not None
        if isinstance(event, events.Image) and event.prompt_id is None:
            event = replace(event, prompt_id=self.submission.prompt.id)
        self._inbox.put(lambda: on_event(event))

    def _queued_again(self, submission: Submission) -> None:
        self.submission = submission
        self._inbox.put(lambda: self._on_queued_again(submission))


@contextlib.contextmanager
def _named(part: int, n: int, seed: int | None) -> Iterator[None]:
    """Have an error name the prompt that it is about."""
    try:
        yield
    except BridgeError as error:
        which = f"Prompt {part + 1} of {n}" + ("" if seed is None else f" (seed {seed})")
        error.message = f"{which}: {error.message}"
        error.args = (error.message,)
        raise


def _named_as(submission: Submission, whole: Submission) -> contextlib.AbstractContextManager[None]:
    return _named(submission.admitted.part, len(whole.parts), submission.filled.seed)


def _together(made: Sequence[Generation], whole: Submission) -> Generation:
    """What a request's prompts made, as one."""
    first, trace = made[0], whole.admitted.trace
    executing = [each.timings.executing for each in made if each.timings.executing is not None]
    timings = Timings(
        queued=first.timings.queued,
        executing=sum(executing) if len(executing) == len(made) else None,
        total=time.monotonic() - first.started,
    )
    trace.prompt_id, trace.params, trace.timings = first.prompt_id, first.params, timings
    trace.ran_at = time.monotonic()
    return replace(
        first,
        outputs=[output for each in made for output in each.outputs],
        warnings=list(dict.fromkeys(warning for each in made for warning in each.warnings)),
        timings=timings,
        of_prompts=tuple(made),
    )
