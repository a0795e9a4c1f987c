"""Waiting by asking `/history`: for networks that let no websocket pass. Events and websocket images don't come."""

from __future__ import annotations

import logging
import time
import uuid

from comfybridge.comfyui.client import ComfyUISilent
from comfybridge.comfyui.outcome import Outcome, Prompt, outcome_of_history
from comfybridge.comfyui.waiter import QUIET_SECONDS, Listener, OnEvent, Waiter, out_of_time
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIUnreachable

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
GROWTH = 1.5

# ComfyUI may be out of reach for a moment (a restart of the proxy before it); longer, and the caller is told.
PATIENCE_SECONDS = 4.0


class PollingWaiter(Waiter):
    """Asks for the prompt's history entry, at first every 50 ms, in the end once a second."""

    name = "poll"
    receives_images = False

    def listen(self, prompt: Prompt, deadline: Deadline) -> PollingListener:
        """Nothing needs to be opened."""
        return PollingListener(self)


class PollingListener(Listener):
    """Waits for one prompt. It gives ComfyUI a client id that no socket has.

    Without any client id, ComfyUI would send the prompt's progress to everybody's sockets.
    """

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self.client_id = uuid.uuid4().hex
        self.warnings: list[str] = []

    def wait(self, prompt: Prompt, deadline: Deadline, on_event: OnEvent | None = None) -> Outcome:
        return wait_by_polling(self._waiter, prompt, deadline)

    def close(self) -> None:
        """Nothing was opened."""


def polling_instead(waiter: Waiter, why: Exception) -> PollingListener:
    """A listener for where ComfyUI answers and its websocket does not, with a warning that says so."""
    log.warning("%s Polling instead.", why)
    listener = PollingListener(waiter)
    listener.warnings.append(f"{why} The result was polled for.")
    return listener


def wait_by_polling(waiter: Waiter, prompt: Prompt, deadline: Deadline) -> Outcome:
    """Block until the prompt's history entry is there; raises what `Listener.wait` raises."""
    pause = FIRST_PAUSE
    began = last_answer = last_check = time.monotonic()
    while not deadline.passed:
        checks_queue = time.monotonic() - last_check >= QUIET_SECONDS
        try:
            if checks_queue:
                entry = waiter.lookup.history_entry(prompt, began, deadline)
            else:
                entry = waiter.client.history(prompt.id, deadline)
            last_answer = time.monotonic()
            if checks_queue:
                last_check = last_answer
        except ComfyUISilent:
            entry = None  # busy or suspended: it may wake before the deadline
        except ComfyUIUnreachable as error:
            if time.monotonic() - last_answer > PATIENCE_SECONDS:
                error.prompt_id = prompt.id
                raise
            entry = None
        if entry is not None:
            return outcome_of_history(prompt, entry)
        time.sleep(min(pause, deadline.remaining()))
        pause = min(pause * GROWTH, LONGEST_PAUSE)
    raise out_of_time(prompt, deadline)
