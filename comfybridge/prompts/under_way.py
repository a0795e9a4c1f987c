"""The requests of this process that are under way, and how other threads end them: as a caller hangs up, as a prompt
is taken out of the queue, as the process ends.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Protocol

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIUnreachable, Interrupted, ShuttingDown, TimedOut
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.giving_up import HUNG_UP, Abandoned, try_to_drop
from comfybridge.prompts.submission import Submission

TAKEN_OUT = "The prompt was cancelled while it waited in the queue."
STOPPED = "The bridge is shutting down"
NOTHING_QUEUED = f"{STOPPED}; nothing was queued."
LAST_CANCEL_SECONDS = 3.0  # for cancelling a prompt while the process is being stopped


class Waiting(Protocol):
    """Something that waits for a prompt, such as a submission. It may be kept weakly."""

    admitted: Admitted

    @property
    def prompt_id(self) -> str:
        """The prompt's id."""

    def stop(self, error: BridgeError) -> None:
        """Have the waiting thread raise this error. May be called by any thread, and repeatedly."""


class UnderWay:
    """The requests whose prompts are being queued or waited for. Safe to share between threads."""

    def __init__(self) -> None:
        self._queueing_until: set[Deadline] = set()
        self._waiting: weakref.WeakValueDictionary[Admitted, Waiting] = weakref.WeakValueDictionary()
        self._is_shut_down = False

    @contextlib.contextmanager
    def queueing(self, admitted: Admitted) -> Iterator[None]:
        """Cut the deadline if the bridge shuts down meanwhile; for a request without a prompt to wait for.

        Raises:
            ShuttingDown: the bridge was shut down.
        """
        deadline = admitted.deadline
        self._queueing_until.add(deadline)
        try:
            self.check_goes_on()
            yield
        except (TimedOut, ComfyUIUnreachable) as error:
            if not deadline.is_cut:
                raise
            if error.prompt_id is None:
                raise ShuttingDown(NOTHING_QUEUED, retry_after=5) from None
            fate = "is kept" if admitted.asked.outlasts_its_time else "is cancelled"
            sentence = f"{STOPPED}; the prompt was just being queued, and {fate} if it was."
            raise ShuttingDown(sentence, prompt_id=error.prompt_id, retry_after=5) from None
        finally:
            self._queueing_until.discard(deadline)

    def check_goes_on(self) -> None:
        """Refuse requests once the bridge is shutting down.

        Raises:
            ShuttingDown
        """
        if self._is_shut_down:
            raise ShuttingDown(NOTHING_QUEUED, retry_after=5)

    def add(self, waiting: Waiting) -> None:
        """Let other threads end the waiting for a prompt."""
        self._waiting[waiting.admitted] = waiting
        waiting.admitted.trace.ended.discard(waiting.admitted.part)
        if self._is_shut_down:
            waiting.stop(ShuttingDown(STOPPED))
        else:
            _stop_if_given_up(waiting)

    def remove(self, waiting: Waiting) -> None:
        """Record that nobody waits for a prompt any more."""
        # in this order, or a look in between would find it neither here nor there
        waiting.admitted.trace.ended.add(waiting.admitted.part)
        self._waiting.pop(waiting.admitted, None)

    def __len__(self) -> int:
        """How many requests wait for a prompt."""
        return len(self._waiting)

    def prompts(self) -> list[str]:
        """The ids of the prompts that are waited for."""
        return sorted({each.prompt_id for each in self._waiting.values()})

    def abandon(self, admitted: Admitted, why: str = HUNG_UP) -> None:
        """Give up a request whose answer is no longer wanted; one that is not queued yet is given up then."""
        admitted.trace.given_up = why
        for each in self.of(admitted):
            _stop_if_given_up(each)

    def of(self, admitted: Admitted) -> list[Waiting]:
        """What waits for the prompts of a request."""
        found = (self._waiting.get(each) for each in (admitted, *admitted.parts))
        return [each for each in found if each is not None]

    def taken_out(self, prompt_id: str) -> None:
        """End the waiting for a prompt, in all requests that share it."""
        known = [reference() for reference in self._waiting.valuerefs()]
        for each in known:
            if each is not None and each.prompt_id == prompt_id:
                each.stop(Interrupted(TAKEN_OUT, prompt_id=prompt_id))

    def shut_down(self) -> tuple[list[str], list[str], int]:
        """Give up all current requests, and refuse new ones.

        Returns:
            The ids of the prompts that are cancelled, and of those that are kept; and how many requests are given
            up that have no prompt yet.
        """
        self._is_shut_down = True
        unqueued = list(self._queueing_until)
        for deadline in unqueued:
            deadline.cut()
        cancelled: set[str] = set()
        kept: set[str] = set()
        for each in list(self._waiting.values()):
            (kept if each.admitted.asked.outlasts_its_time else cancelled).add(each.prompt_id)
            each.stop(ShuttingDown(STOPPED, prompt_id=each.prompt_id))
        return sorted(cancelled - kept), sorted(kept), len(unqueued)


def _stop_if_given_up(waiting: Waiting) -> None:
    why = waiting.admitted.trace.given_up
    if why is not None:
        waiting.stop(Abandoned(why, prompt_id=waiting.prompt_id))


def cut_off(submission: Submission) -> ShuttingDown:
    """Cancel the prompt of a request that is given up on shutdown, unless it is to be kept; returns its error."""
    prompt_id = submission.prompt.id
    if submission.request.outlasts_its_time:
        fate = "is kept, and its results can be fetched later"
    elif try_to_drop(submission.server.canceller, prompt_id, LAST_CANCEL_SECONDS):
        fate = "was cancelled"
    else:
        fate = "could not be cancelled"
    return ShuttingDown(f"{STOPPED}; the prompt {fate}.", prompt_id=prompt_id, retry_after=5)
