"""Waiting on a websocket of the request's own, opened before the prompt is queued."""

from __future__ import annotations

import time
import uuid

from comfybridge.comfyui.calls import ComfyUISilent
from comfybridge.comfyui.outcome import (
    MALFORMED,
    Outcome,
    OutcomeReader,
    Prompt,
    SoFar,
    outcome_of_history,
    without_images_lost,
)
from comfybridge.comfyui.waiting.connection import Connection, SocketLost, connect
from comfybridge.comfyui.waiting.poll import PollingListener, confirmed, polling_instead, wait_by_polling
from comfybridge.comfyui.waiting.waiter import QUIET_SECONDS, Listener, OnEvent, Stop, Waiter, out_of_time
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIError, ComfyUIUnreachable


class SocketWaiter(Waiter):
    """Opens one websocket for each request."""

    name = "websocket"
    receives_images = True

    def listen(self, prompt: Prompt, deadline: Deadline) -> Listener:
        """Connect; if ComfyUI answers but no websocket can be opened, poll instead, with a warning."""
        try:
            return SocketListener(self, connect(self.client, uuid.uuid4().hex, deadline))
        except SocketLost as error:
            return polling_instead(self, error, prompt)

    def attach(self, prompt: Prompt, deadline: Deadline) -> Listener:
        """Poll: its events go to the client that queued it."""
        return PollingListener(self)


class SocketListener(Listener):
    """Reads one socket until its prompt has ended."""

    def __init__(self, waiter: Waiter, connection: Connection) -> None:
        self._waiter = waiter
        self.client_id = connection.client_id
        self.warnings: list[str] = []
        self._connection = connection
        self._stop = Stop()
        self._reader: OutcomeReader | None = None

    @property
    def so_far(self) -> SoFar | None:
        return None if self._reader is None else self._reader.so_far

    def wait(self, prompt: Prompt, deadline: Deadline, on_event: OnEvent | None = None) -> Outcome:
        reader = self._reader = OutcomeReader(prompt)
        try:
            outcome = self._read_until_ended(reader, deadline, on_event)
        except SocketLost:
            # A new socket would not receive this prompt's events, which go to the client id that queued it.
            self._stop.sleep(0)
            return without_images_lost(prompt, wait_by_polling(self._waiter, prompt, deadline, self._stop))
        return outcome if outcome.is_complete else confirmed(self._waiter, prompt, outcome, deadline, self._stop)

    def stop(self, error: BridgeError) -> None:
        self._stop.ask(error)
        self._connection.close()

    def close(self) -> None:
        self._connection.close()

    def _read_until_ended(self, reader: OutcomeReader, deadline: Deadline, on_event: OnEvent | None) -> Outcome:
        prompt = reader.prompt
        began = last_heard = time.monotonic()
        while not deadline.passed:
            until_check = last_heard + QUIET_SECONDS - time.monotonic()
            event = self._connection.receive(min(max(until_check, 0.0), deadline.remaining()))
            if event is not None and reader.is_about_this(event):
                last_heard = time.monotonic()
                if on_event is not None:
                    on_event(event)
                try:
                    outcome = reader.read(event)
                except MALFORMED:
                    raise SocketLost("an event made no sense") from None  # the history does
                if outcome is not None:
                    return outcome
            elif time.monotonic() - last_heard >= QUIET_SECONDS:
                ended = self._look_up(prompt, began, deadline)
                if ended is not None:
                    return without_images_lost(prompt, ended)
                last_heard = time.monotonic()
        raise out_of_time(prompt, deadline)

    def _look_up(self, prompt: Prompt, began: float, deadline: Deadline) -> Outcome | None:
        try:
            entry = self._waiter.lookup.history_entry(prompt, began, deadline)
        except ComfyUISilent:
            return None  # busy or suspended: it may wake before the deadline
        except (ComfyUIUnreachable, ComfyUIError):
            raise SocketLost from None  # polling decides how long to be patient
        return outcome_of_history(prompt, entry) if entry is not None else None
