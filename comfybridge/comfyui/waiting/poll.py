"""Waiting by polling `/history`, for networks that block websockets. There are no events and no websocket images."""

from __future__ import annotations

import dataclasses
import logging
import time
import uuid

from comfybridge.comfyui.calls import ComfyUISilent
from comfybridge.comfyui.outcome import Outcome, Prompt, in_graph_order, outcome_of_history, without_images_lost
from comfybridge.comfyui.waiting.waiter import QUIET_SECONDS, Listener, OnEvent, Stop, Waiter, out_of_time
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIError, ComfyUIUnreachable, TimedOut

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
GROWTH = 1.5

# The limit for one call, during which the waiting cannot be stopped.
LOOK_SECONDS = 5.0
# ComfyUI may be out of reach for a moment (a restart of the proxy in front of it); after that, the caller gets an
# error.
PATIENCE_SECONDS = 4.0


class PollingWaiter(Waiter):
    """Polls for the prompt's history entry, at first every 50 ms, in the end once a second."""

    name = "poll"
    receives_images = False

    def listen(self, prompt: Prompt, deadline: Deadline) -> PollingListener:
        """Return a listener; there is nothing to open."""
        return PollingListener(self)

    def attach(self, prompt: Prompt, deadline: Deadline) -> PollingListener:
        """Return a listener; it makes no difference which client queued the prompt."""
        return PollingListener(self)


class PollingListener(Listener):
    """Waits for one prompt, under a client id that no socket has.

    Without a client id, ComfyUI would send the prompt's progress to all sockets.
    """

    receives_images = False

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self.client_id = uuid.uuid4().hex
        self.warnings: list[str] = []
        self._stop = Stop()

    def wait(self, prompt: Prompt, deadline: Deadline, on_event: OnEvent | None = None) -> Outcome:
        outcome = wait_by_polling(self._waiter, prompt, deadline, self._stop)
        return without_images_lost(prompt, outcome) if outcome.over_websocket else outcome

    def stop(self, error: BridgeError) -> None:
        self._stop.ask(error)

    def close(self) -> None:
        """Do nothing: nothing is open."""


def polling_instead(waiter: Waiter, why: Exception, prompt: Prompt) -> PollingListener:
    """A polling listener for a ComfyUI whose websocket cannot be opened, with a warning that says so.

    Raises:
        ComfyUIUnreachable: the prompt has images that come over the websocket only.
    """
    nodes = prompt.websocket_outputs
    if nodes:
        raise ComfyUIUnreachable(
            f"{why} The images of node {', '.join(nodes)} (SaveImageWebsocket) come over it only.", retry_after=5
        )
    log.warning("%s Polling instead.", why)
    listener = PollingListener(waiter)
    listener.warnings.append(f"{why} The result was polled for.")
    return listener


def confirmed(waiter: Waiter, prompt: Prompt, told: Outcome, deadline: Deadline, stop: Stop) -> Outcome:
    """Complete an outcome with missing events from the history; raises what `Listener.wait` raises."""
    known = wait_by_polling(waiter, prompt, deadline, stop)
    silent = set(known.over_websocket).difference(frame.node_id for frame in told.frames)
    if silent and not told.warnings:  # which may report that a node was kept from running
        without_images_lost(prompt, known)
    return dataclasses.replace(
        known,
        shown=in_graph_order(prompt, [*known.outputs, *told.frames]),
        warnings=told.warnings,
        spent=told.spent,
    )


def wait_by_polling(waiter: Waiter, prompt: Prompt, deadline: Deadline, stop: Stop) -> Outcome:
    """Block until the prompt's history entry is there; raises what `Listener.wait` raises."""
    pause = FIRST_PAUSE
    began = last_answer = last_check = time.monotonic()
    while not deadline.passed:
        checks_queue = time.monotonic() - last_check >= QUIET_SECONDS
        patience = Deadline(min(LOOK_SECONDS, deadline.remaining()))
        try:
            if checks_queue:
                entry = waiter.lookup.history_entry(prompt, began, patience)
            else:
                entry = waiter.client.history(prompt.id, patience)
            last_answer = time.monotonic()
            if checks_queue:
                last_check = last_answer
        except (ComfyUISilent, TimedOut):
            entry = None  # busy or suspended: it may wake before the deadline
        except (ComfyUIUnreachable, ComfyUIError) as error:
            if time.monotonic() - last_answer > PATIENCE_SECONDS:
                error.prompt_id = prompt.id
                raise
            entry = None
        if entry is not None:
            return outcome_of_history(prompt, entry)
        stop.sleep(min(pause, deadline.remaining()))
        pause = min(pause * GROWTH, LONGEST_PAUSE)
    raise out_of_time(prompt, deadline)
