"""Follows one job: its place in the queue, its progress and previews, and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from comfybridge.engine.engine import Engine
from comfybridge.jobs.board import Board, What
from comfybridge.jobs.events import Heard, event_from_bytes
from comfybridge.jobs.states import State
from comfybridge.jobs.telling import COMES
from comfybridge.prompts.progress import Preview, Progress

EVENTS, WATCHING = "comfybridge.event.", "comfybridge.watching."
ASK_SECONDS = 2.0  # an agent that does not hear from a watcher for longer tells no events
PLACE_SECONDS = 1.0  # how often a waiting job's place is looked at


class Watching:
    """What happens to a job from now on. For one thread at a time; close it.

    The first event is the job's present state. Of progress and previews only the newest are kept for a reader that is
    slow.

    Args:
        find: returns the present state.
        pause: seconds between two events of progress, and between two previews.
    """

    def __init__(
        self, job_id: str, engine: Engine, board: Board, find: Callable[[], State], pause: float = 0.0
    ) -> None:
        self._job_id = job_id
        self._engine = engine
        self._find = find
        self._pause = pause
        self._changed = threading.Condition()
        self._is_stale = True  # whether the state must be looked at
        self._unread: dict[type[Heard], Heard] = {}  # the newest of each kind, in order of arrival
        self._next_at: dict[type[Heard], float] = {}  # when the next of a kind may be told
        self._place: tuple[str, int | None] | None = None  # the last that was told
        self._has_ended = False
        self._ask_at = self._look_at = 0.0
        self._ends = [
            engine.listen(EVENTS + job_id, self._hear),
            board.changes(self._hear_change, job_id),
        ]

    def next(self, seconds: float) -> Heard | State | None:
        """The next event; the state, if that or the place has changed; None if nothing happens in that many seconds.

        The state with which the job has ended is the last.

        Raises:
            UnknownPrompt: the job is not known any more.
            EngineUnreachable
        """
        until = time.monotonic() + seconds
        while not self._has_ended:
            now = time.monotonic()
            if now >= self._ask_at:
                self._engine.tell(WATCHING + self._job_id, b"" if self._ask_at else COMES)
                self._ask_at = now + ASK_SECONDS
            told = self._told(now)
            if told is not None:
                return told
            if now >= until:
                return None
            with self._changed:
                unread = [self._next_at.get(kind, 0.0) for kind in self._unread]
                if not self._is_stale and min(unread, default=until) > now:
                    self._changed.wait(max(0.0, min(until, self._ask_at, self._look_at, *unread) - now))
        return None

    def close(self) -> None:
        """Follow it no longer."""
        for end in self._ends:
            end()

    def _told(self, now: float) -> Heard | State | None:
        is_waiting = self._place is None or self._place[0] == "queued"
        if self._is_stale or (is_waiting and now >= self._look_at):
            self._is_stale, self._look_at = False, now + PLACE_SECONDS
            state = self._find()
            if state.has_ended:
                self._has_ended = True
                return state
            if self._place != (state.status, state.position):
                if self._place is None and state.progress is not None:
                    with self._changed:
                        self._unread.setdefault(Progress, state.progress)
                if state.status == "running":  # its agent may have begun to listen only now
                    self._ask_at = 0.0
                self._place = (state.status, state.position)
                return state
        elif not is_waiting:
            self._look_at = now + ASK_SECONDS
        with self._changed:
            kind = next((kind for kind in self._unread if self._next_at.get(kind, 0.0) <= now), None)
            if kind is None:
                return None
            self._next_at[kind] = now + self._pause
            return self._unread.pop(kind)

    def _hear(self, _subject: str, data: bytes) -> None:
        event = event_from_bytes(data)
        with self._changed:
            if isinstance(event, (Progress, Preview)):
                self._unread.pop(type(event), None)
                self._unread[type(event)] = event
            self._changed.notify_all()

    def _hear_change(self, _job_id: str, _what: What) -> None:
        with self._changed:
            self._is_stale = True
            self._changed.notify_all()
