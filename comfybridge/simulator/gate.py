"""Controls the worker's pace: how long a step takes, and where it waits for a test's permission."""

import threading
import time
from collections.abc import Callable


class Stopped(BaseException):
    """The simulated server is going down: unwinds the worker thread past every handler of node errors."""


class Gate:
    """Holds the worker at the end of a node or before a sampling step until released. Thread-safe."""

    def __init__(self, step_seconds: float) -> None:
        self.step_seconds = step_seconds
        self._changed = threading.Condition()
        self._node_hold = False
        self._deaf = False
        self._holds_worker = False
        self._step_hold: int | None = None

    def hold(self, deaf: bool) -> None:
        with self._changed:
            self._node_hold, self._deaf = True, deaf

    def hold_steps(self, after: int) -> None:
        with self._changed:
            self._step_hold = after

    def release(self) -> None:
        with self._changed:
            self._node_hold, self._deaf, self._step_hold = False, False, None
            self._changed.notify_all()

    def wake(self) -> None:
        """Makes waiting workers look again whether they have been interrupted or stopped."""
        with self._changed:
            self._changed.notify_all()

    def wait_until_held(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._holds_worker, timeout)

    def end_node(self, interrupted: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        """Waits as long as nodes are held. Returns early when interrupted; raises Stopped."""
        with self._changed:
            while self._node_hold and (self._deaf or not interrupted()) and not stopped():
                self._holds_worker = True
                self._changed.notify_all()
                self._changed.wait()
            self._holds_worker = False
        if stopped():
            raise Stopped

    def take_step(self, made: int, interrupted: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        """Takes the time of a step, after waiting for permission; `made` steps are done."""
        with self._changed:
            while self._step_held(made) and not interrupted() and not stopped():
                self._changed.wait()
            # Waits on the condition instead of sleeping, so that a simulator with long steps still stops at once.
            until = time.monotonic() + self.step_seconds
            while (left := until - time.monotonic()) > 0 and not stopped():
                self._changed.wait(left)
        if stopped():
            raise Stopped

    def _step_held(self, made: int) -> bool:
        return self._step_hold is not None and made >= self._step_hold
