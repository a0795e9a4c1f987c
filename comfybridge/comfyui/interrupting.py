"""Interrupts prompts, again if ComfyUI forgot the first interrupt.

ComfyUI clears its interrupt flag when a prompt begins, which is a little after the prompt counts as running. An
interrupt that arrives in between is answered with 200 and forgotten, and the prompt runs to its end.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.lookup import PromptLookup
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError

log = logging.getLogger(__name__)

# Seconds after an interrupt until the bridge checks whether the prompt still runs, and then after each further one.
# An interrupt takes effect at the next sampling step; a second one for a prompt that is about to stop does no harm.
PAUSES = (1.0, 2.0, 4.0, 8.0)
# The time limit for one check and its interrupts.
ROUND_SECONDS = 10.0


@dataclass
class Told:
    """A prompt that has been interrupted.

    Attributes:
        run: distinguishes this run from another one under the same id; empty while unknown.
        look_at: when to check it next, on `time.monotonic()`'s clock.
        looks: how often it was checked.
    """

    prompt_id: str
    run: str
    look_at: float
    looks: int = 0


class Interrupter:
    """Interrupts prompts on one server, and makes sure that they stop, in a thread that runs while there are any.

    Only for servers for which `can_aim_interrupts` is true. Safe to share between threads.
    """

    def __init__(self, client: ComfyUIClient, lookup: PromptLookup) -> None:
        self._client = client
        self._lookup = lookup
        self._told: list[Told] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def interrupt(self, prompt_id: str, run: str, deadline: Deadline) -> None:
        """Interrupt a prompt now, and again in a while if it still runs then.

        Args:
            run: distinguishes this run from another one under the same id, as `Job.run`; empty if unknown.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        self._client.interrupt(prompt_id, deadline)
        with self._changed:
            if self._is_closed:
                return
            self._told.append(Told(prompt_id, run, time.monotonic() + PAUSES[0]))
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="comfybridge interrupter", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._told or self._is_closed:
                    self._thread = None
                    return
                self._changed.wait(min(each.look_at for each in self._told) - time.monotonic())
                now = time.monotonic()
                due = [each for each in self._told if each.look_at <= now]
                self._told = [each for each in self._told if each.look_at > now]
            left = self._look(due, now) if due else []
            with self._changed:
                self._told += left

    def _look(self, due: list[Told], now: float) -> list[Told]:
        """Interrupt those that still run; returns those to check again."""
        deadline = Deadline(ROUND_SECONDS)
        for each in due:
            each.look_at = now + PAUSES[min(each.looks + 1, len(PAUSES) - 1)]
            each.looks += 1
        try:
            running = self._lookup.running(now, deadline)
            due = [each for each in due if each.prompt_id in running.running]
            for each in due:
                each.run = each.run or running.runs[each.prompt_id]
            due = [each for each in due if each.run == running.runs[each.prompt_id]]
            for each in due:
                log.info("Prompt %s was told to stop but still runs; stopping it again.", each.prompt_id)
                self._client.interrupt(each.prompt_id, deadline)
        except BridgeError as error:  # busy, suspended, or gone
            log.info("Cannot tell whether %d prompts have stopped: %s", len(due), error.message)
        return [each for each in due if each.looks < len(PAUSES)]
