"""Signals that end `comfybridge generate` cleanly, so that its prompt is cancelled."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from comfybridge.cli.exit_codes import CTRL_C, HUNG_UP, TERMINATED


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or a signal handled like it."""

    code = CTRL_C


class Terminated(Stopped):
    """SIGTERM."""

    code = TERMINATED


class HungUp(Stopped):
    """SIGHUP: the terminal was closed."""

    code = HUNG_UP


_HEEDED: dict[str, type[Stopped]] = {"SIGINT": Stopped, "SIGTERM": Terminated, "SIGHUP": HungUp}


@contextlib.contextmanager
def heeding_signals() -> Iterator[None]:
    """Turn this platform's signals into `Stopped`, so that the program cancels its prompt before it exits.

    An ignored signal stays ignored: `nohup` ignores SIGHUP, and shells ignore Ctrl-C for background jobs.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _HEEDED[signal.Signals(number).name]

    numbers = [getattr(signal, name) for name in _HEEDED if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heeded = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
