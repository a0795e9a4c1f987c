"""The files of live jobs that an agent has run, for the bridges whose callers wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from comfybridge.engine.engine import Engine
from comfybridge.errors import BridgeError, ComfyUIError
from comfybridge.jobs.headed import head
from comfybridge.jobs.results import has_file
from comfybridge.request import Generation, Output

SENT_BYTES = 512 * 1024  # NATS takes no message of more than a megabyte unless told to
SENT_FILES = 4
KEPT_SECONDS = 600.0  # a bridge releases them much sooner, unless it is gone


class LiveFiles:
    """What can still be read. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Sequence[Output]]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether all that was kept lately has been read."""
        return not self._kept

    def keep(self, job_id: str, generation: Generation) -> None:
        """Keep the files of a job until they are released, or for ten minutes."""
        now = time.monotonic()
        with self._lock:
            self._kept = {each: kept for each, kept in self._kept.items() if now - kept[0] < KEPT_SECONDS}
            self._kept[job_id] = now, generation.outputs

    def release(self, job_id: str) -> None:
        """Nobody will read the files of a job any more."""
        with self._lock:
            self._kept.pop(job_id, None)

    def open(self, subject: str) -> Iterator[bytes]:
        """A file as ComfyUI made it, after a line of JSON with its size.

        Args:
            subject: ends with the job's id and the number of the output.

        Raises:
            ComfyUIError: it is not kept any more, or ComfyUI does not have it.
            ComfyUIUnreachable, TimedOut
        """
        job_id, number = subject.split(".")[-2:]
        with self._lock:
            _, outputs = self._kept.get(job_id, (0.0, ()))
        if not number.isdecimal() or int(number) >= len(outputs):
            raise ComfyUIError("The agent does not keep the output files of the job any more.")
        with outputs[int(number)].source() as file:
            yield head(size=file.size)
            yield from file


def send_small(outputs: Sequence[Output], inbox: str, engine: Engine) -> None:
    """Send small files to a bridge, before it knows that they are there. What does not arrive, it asks for.

    Args:
        inbox: the subject, but for the number of the output.
    """
    room, count = SENT_BYTES, 0
    for number, output in enumerate(outputs):
        if not has_file(output):
            continue
        if count == SENT_FILES:
            return
        try:
            with output.source() as file:
                if file.size is None or file.size > room:
                    return
                engine.tell(f"{inbox}.{number}", head(size=file.size) + file.fetch())
                room, count = room - file.size, count + 1
        except BridgeError:  # the bridge will hear of it
            return
