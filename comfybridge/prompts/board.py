"""Which requests each caller has under way, in this process and in the others of the bridge.

It is for interfaces that ask for progress, or interrupt, without naming a prompt. A request is put on the board only
if its dialect has such an interface, and costs an entry in a dictionary then.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.errors import Interrupted
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.caller_progress import (
    CallerProgress,
    PromptProgress,
    RequestProgress,
    progress_of_prompt,
    together,
)
from comfybridge.prompts.neighbours import Neighbours
from comfybridge.prompts.overall_progress import meter_of_prompt
from comfybridge.prompts.processes import Machine
from comfybridge.prompts.progress import ProgressMeter
from comfybridge.prompts.submission import Submission
from comfybridge.prompts.under_way import UnderWay, Waiting

LOOK_SECONDS = 2.0
INTERRUPT_SECONDS = 20.0
MOST_UNSEEN = 1000
INTERRUPTED = "The caller interrupted the request before its prompt was queued."

CANCELLED = "The prompt was cancelled."

Cancel = Callable[[str], object]


class Elsewhere(Waiting):
    """A request whose prompts run elsewhere, all together; to stop waiting for them cancels them."""

    @abstractmethod
    def progress(self) -> PromptProgress:
        """How far they are together."""


@dataclass(eq=False)
class Entry:
    """A request on the board.

    Attributes:
        started: when it was put there, as `time.time()`.
        is_seen: whether its caller has asked how far it is.
    """

    admitted: Admitted
    started: float
    is_seen: bool = False


class Board:
    """The requests of each caller. Safe to share between threads.

    Args:
        bridge: the same text in all processes of one bridge, and another in each other bridge of this machine.
        cancel: cancels a prompt, if it waits or runs.
    """

    def __init__(self, machine: Machine, bridge: str, under_way: UnderWay, cancel: Cancel) -> None:
        self._under_way = under_way
        self._cancel = cancel
        self._neighbours = Neighbours(machine, bridge, self._answer)
        self._lock = threading.Lock()
        self._entries: dict[str, list[Entry]] = {}
        # by request, with the id of the prompt that is metered
        self._meters: weakref.WeakKeyDictionary[Admitted, tuple[str, ProgressMeter]] = weakref.WeakKeyDictionary()
        self._unseeing: set[str] = set()  # callers who did not look at their last request

    def close(self) -> None:
        """Answer other processes no longer."""
        self._neighbours.close()

    def is_watched(self, caller: str) -> bool:
        """Whether the caller looks at previews, as far as can be told: it looked at its last request, or had none."""
        return caller not in self._unseeing

    @contextlib.contextmanager
    def showing(self, caller: str, admitted: Admitted) -> Iterator[None]:
        """Have a request on the board meanwhile."""
        self._neighbours.listen()
        entry = Entry(admitted, time.time() - (time.monotonic() - admitted.deadline.started))
        with self._lock:
            self._entries.setdefault(caller, []).append(entry)
        try:
            yield
        finally:
            with self._lock:
                left = [each for each in self._entries[caller] if each is not entry]
                if left:
                    self._entries[caller] = left
                else:
                    del self._entries[caller]
                if entry.is_seen:
                    self._unseeing.discard(caller)
                elif len(self._unseeing) < MOST_UNSEEN:
                    self._unseeing.add(caller)

    def progress_of(self, caller: str, *, with_preview: bool) -> CallerProgress | None:
        """As `Bridge.progress_of`."""
        question = {"progress_of": caller, "with_preview": with_preview}
        others = [
            RequestProgress.from_json(told)
            for answer in self._neighbours.ask(question, LOOK_SECONDS)
            for told in answer["requests"]
        ]
        return together([*self._own(caller, with_preview=with_preview), *others])

    def interrupt(self, caller: str) -> int:
        """As `Bridge.interrupt`."""
        own = self._interrupt_own(caller)
        others = self._neighbours.ask({"interrupt": caller}, INTERRUPT_SECONDS)
        return own + sum(int(answer["cancelled"]) for answer in others)

    def _answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to another process."""
        if "interrupt" in question:
            return {"cancelled": self._interrupt_own(question["interrupt"])}
        own = self._own(question["progress_of"], with_preview=question["with_preview"])
        return {"requests": [each.to_json() for each in own]}

    def _own(self, caller: str, *, with_preview: bool) -> list[RequestProgress]:
        with self._lock:
            self._unseeing.discard(caller)
            entries = list(self._entries.get(caller, ()))
        for each in entries:
            each.is_seen = True
        return [self._progress(each, with_preview=with_preview) for each in entries]

    def _progress(self, entry: Entry, *, with_preview: bool) -> RequestProgress:
        admitted = entry.admitted
        found = self._under_way.of(admitted)
        elsewhere = [each for each in found if isinstance(each, Elsewhere)]
        if elsewhere:
            return RequestProgress(entry.started, 1, 0, [each.progress() for each in elsewhere])
        submissions = [each for each in found if isinstance(each, Submission)]
        ended = admitted.trace.ended.difference(each.admitted.part for each in submissions)
        prompts = [progress_of_prompt(each, self._meter(each), with_preview=with_preview) for each in submissions]
        return RequestProgress(entry.started, admitted.asked.n, len(ended), prompts)

    def _meter(self, submission: Submission) -> ProgressMeter:
        with self._lock:
            prompt_id = submission.prompt.id
            known, meter = self._meters.get(submission.admitted) or (prompt_id, meter_of_prompt(submission))
            if known != prompt_id:
                meter.follow(submission)
            self._meters[submission.admitted] = prompt_id, meter
            return meter

    def _interrupt_own(self, caller: str) -> int:
        with self._lock:
            entries = list(self._entries.get(caller, ()))
        waiting: list[Waiting] = []
        being_queued = 0
        for each in entries:
            found = self._under_way.of(each.admitted)
            waiting += found
            if not found and not each.admitted.trace.ended:
                self._under_way.abandon(each.admitted, INTERRUPTED)
                being_queued += each.admitted.asked.n
        for prompt in reversed(waiting):  # the running one last, or the next one would begin
            if isinstance(prompt, Elsewhere):
                prompt.stop(Interrupted(CANCELLED, prompt_id=prompt.prompt_id))
            else:
                self._cancel(prompt.prompt_id)
        return being_queued + len(waiting)
