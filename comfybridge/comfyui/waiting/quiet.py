"""Looks up silent prompts, for all waiting requests together.

An event may be lost, a socket half dead, a prompt deleted, a server restarted. One thread looks up all prompts that
have been silent for a while in ComfyUI's queue and history, so that thousands of waiting requests need not each wake
up.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from comfybridge.comfyui.calls import ComfyUISilent
from comfybridge.comfyui.lookup import PromptLookup
from comfybridge.comfyui.outcome import Outcome, Prompt, outcome_of_history
from comfybridge.comfyui.waiting import waiter
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIUnreachable, PromptLost, TimedOut

log = logging.getLogger(__name__)

# Interval of looks at a prompt whose socket is lost.
ORPHAN_SECONDS = 0.5
# ComfyUI may be out of reach for a moment (a restart of the proxy in front of it); after that, the callers get an
# error.
PATIENCE_SECONDS = 3.0
# The time limit for one round of calls.
ROUND_SECONDS = 10.0
# Seconds without any prompts after which the thread ends.
IDLE_SECONDS = 30.0


class Watched(ABC):
    """A prompt that is waited for.

    Attributes:
        prompt: the prompt, with its id in ComfyUI.
        queued_at: a moment at which it was certainly queued, on `time.monotonic()`'s clock; None before.
        last_heard: when the last event came, or when it was last seen in the queue.
        is_orphan: whether no event can come any more.
    """

    prompt: Prompt
    queued_at: float | None
    last_heard: float
    is_orphan: bool

    @abstractmethod
    def finish(self, result: Outcome | BridgeError) -> None:
        """Report the outcome to the waiting request."""


class Watcher:
    """Watches the prompts of one server, in a thread that runs while there are any.

    Args:
        watched: returns the current prompts.
    """

    def __init__(self, lookup: PromptLookup, watched: Callable[[], Iterable[Watched]]) -> None:
        self._lookup = lookup
        self._watched = watched
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._unreachable_since: float | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:  # usually it runs
            with self._lock:
                if self._thread is None and not self._stop.is_set():
                    self._thread = threading.Thread(target=self._run, name="comfybridge watcher", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()

    def _run(self) -> None:
        idle_since = time.monotonic()
        while not self._stop.wait(min(waiter.QUIET_SECONDS / 6, ORPHAN_SECONDS)):
            watched = list(self._watched())
            now = time.monotonic()
            if watched:
                idle_since = now
                self._round(watched, [each for each in watched if _is_due(each, now)])
            elif now - idle_since > IDLE_SECONDS:
                with self._lock:
                    if not list(self._watched()):
                        self._thread = None
                        return

    def _round(self, watched: list[Watched], due: list[Watched]) -> None:
        """Look up the prompts that are due, as far as ComfyUI answers."""
        if not due:
            self._unreachable_since = None
            return
        has_orphans = any(each.is_orphan for each in due)
        if not has_orphans and self._lookup.is_resting:
            return  # they stay due, because nothing was learned about them
        deadline = Deadline(ROUND_SECONDS)
        queued = len({each.prompt.id for each in watched if each.queued_at is not None})
        try:
            if not has_orphans and self._lookup.may_wait(queued, deadline):
                now = time.monotonic()
                for each in due:
                    each.last_heard = now
            else:
                for each in due:
                    self._look_up(each, deadline)
            self._unreachable_since = None
        except (ComfyUISilent, TimedOut):
            pass  # busy or suspended: it may wake before the callers give up
        except BridgeError as error:
            self._endure(error, due)

    def _look_up(self, watched: Watched, deadline: Deadline) -> None:
        assert watched.queued_at is not None
        try:
            entry = self._lookup.history_entry(watched.prompt, watched.queued_at, deadline)
        except PromptLost as error:
            watched.finish(error)
            return
        if entry is None:
            watched.last_heard = time.monotonic()
        else:
            watched.finish(_result(watched.prompt, entry))

    def _endure(self, error: BridgeError, due: list[Watched]) -> None:
        """Tolerate an unreachable ComfyUI for a while."""
        now = time.monotonic()
        if self._unreachable_since is None:
            self._unreachable_since = now
        elif now - self._unreachable_since > PATIENCE_SECONDS:
            self._unreachable_since = None
            log.warning("%s %d prompts are given up.", error.message, len(due))
            kind = type(error) if isinstance(error, ComfyUIUnreachable) else ComfyUIUnreachable
            for each in due:
                each.finish(kind(error.message, prompt_id=each.prompt.id, retry_after=error.retry_after))


def _is_due(watched: Watched, now: float) -> bool:
    patience = ORPHAN_SECONDS if watched.is_orphan else waiter.QUIET_SECONDS
    return watched.queued_at is not None and now - watched.last_heard >= patience


def _result(prompt: Prompt, entry: Mapping[str, Any]) -> Outcome | BridgeError:
    try:
        return outcome_of_history(prompt, entry)
    except BridgeError as error:
        return error
