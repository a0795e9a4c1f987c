"""The progress bar of `comfybridge generate`."""

from __future__ import annotations

import math
from typing import TextIO

from comfybridge.logs import printable
from comfybridge.prompts.progress import Progress

BAR_WIDTH = 30
LONGEST_STEP, TOLD_WIDTH = 30, 44  # columns of the node's name and step, and of those with the time left


class ProgressBar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()

    def show(self, progress: Progress) -> None:
        if self._shown:
            done = "#" * int(BAR_WIDTH * progress.percent / 100)
            told = printable(_step(progress)[:LONGEST_STEP]) + _left(progress.eta_seconds)
            self._write(f"\r[{done:<{BAR_WIDTH}}] {int(progress.percent):3d}% {told:<{TOLD_WIDTH}}")

    def clear(self) -> None:
        if self._shown:
            self._write("\r" + " " * (BAR_WIDTH + TOLD_WIDTH + 10) + "\r")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal was closed
            self._shown = False


def _step(progress: Progress) -> str:
    if progress.max > 1:
        return f"{progress.class_type} {progress.value:g}/{progress.max:g}"
    return progress.class_type


def _left(eta_seconds: object) -> str:
    """The remaining time: `, 12 s left`, `, 3:05 left`, `, 1:02:30 left`; empty if unknown."""
    if not isinstance(eta_seconds, (int, float)) or not math.isfinite(eta_seconds):
        return ""
    seconds = math.ceil(max(eta_seconds, 0))
    if seconds < 60:
        return f", {seconds} s left"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f", {hours}:{minutes:02}:{seconds:02} left" if hours else f", {minutes}:{seconds:02} left"
