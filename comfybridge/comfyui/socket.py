"""Waiting on a websocket of the request's own. With `hub.py` to come, the only file that knows `websocket`.

The socket is opened before the prompt is queued, under a client id that was never used before: ComfyUI lets go of
the wrong socket when a client comes back under its old id, and the new one then never hears anything.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from urllib.parse import urlencode

import websocket

from comfybridge.comfyui.client import ComfyUIClient, ComfyUISilent
from comfybridge.comfyui.events import FEATURE_FLAGS, Event, parse_binary, parse_text
from comfybridge.comfyui.outcome import Outcome, OutcomeReader, Prompt, outcome_of_history
from comfybridge.comfyui.polling import PollingListener, wait_by_polling
from comfybridge.comfyui.waiter import QUIET_SECONDS, Listener, OnEvent, Waiter, out_of_time
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIUnreachable, PromptLost, TimedOut

log = logging.getLogger(__name__)


class SocketLost(Exception):
    """The websocket is closed; what ComfyUI sends from now on is not heard."""


class SocketWaiter(Waiter):
    """Opens one websocket for each request."""

    name = "websocket"
    receives_images = True

    def listen(self, deadline: Deadline) -> Listener:
        """Connect; where ComfyUI answers but lets no websocket through, poll instead, with a warning."""
        client_id = uuid.uuid4().hex
        try:
            return SocketListener(self, client_id, connect(self.client, client_id, deadline))
        except SocketLost as error:
            log.warning("%s Polling instead.", error)
            listener = PollingListener(self)
            listener.warnings.append(f"{error} The result was polled for.")
            return listener


class SocketListener(Listener):
    """Reads one socket until its prompt has ended."""

    def __init__(self, waiter: Waiter, client_id: str, connection: websocket.WebSocket) -> None:
        self._waiter = waiter
        self.client_id = client_id
        self.warnings: list[str] = []
        self._connection = connection

    def wait(self, prompt: Prompt, deadline: Deadline, on_event: OnEvent | None = None) -> Outcome:
        reader = OutcomeReader(prompt)
        try:
            return self._read_until_ended(reader, deadline, on_event)
        except SocketLost:
            # A new socket would not hear of this prompt: its events go to the client id that queued it.
            return _without_images_lost(prompt, wait_by_polling(self._waiter, prompt, deadline))

    def close(self) -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._connection.send_close()
        self._connection.shutdown()  # type: ignore[no-untyped-call]

    def _read_until_ended(self, reader: OutcomeReader, deadline: Deadline, on_event: OnEvent | None) -> Outcome:
        prompt = reader.prompt
        began = last_heard = time.monotonic()
        while not deadline.passed:
            until_check = last_heard + QUIET_SECONDS - time.monotonic()
            event = receive(self._connection, min(max(until_check, 0.0), deadline.remaining()))
            if event is not None and reader.is_about_this(event):
                last_heard = time.monotonic()
                if on_event is not None:
                    on_event(event)
                outcome = reader.read(event)
                if outcome is not None:
                    return outcome
            elif time.monotonic() - last_heard >= QUIET_SECONDS:
                ended = self._look_up(prompt, began, deadline)
                if ended is not None:
                    return _without_images_lost(prompt, ended)
                last_heard = time.monotonic()
        raise out_of_time(prompt, deadline)

    def _look_up(self, prompt: Prompt, began: float, deadline: Deadline) -> Outcome | None:
        try:
            entry = self._waiter.lookup.history_entry(prompt, began, deadline)
        except ComfyUISilent:
            return None  # busy or suspended: it may wake before the deadline
        except ComfyUIUnreachable:
            raise SocketLost from None  # polling knows how long to be patient
        return outcome_of_history(prompt, entry) if entry is not None else None


def connect(client: ComfyUIClient, client_id: str, deadline: Deadline) -> websocket.WebSocket:
    """Open a websocket and say what the bridge understands.

    Raises:
        SocketLost: somebody answered, and not as a websocket.
        ComfyUIUnreachable: nobody answered.
        TimedOut: the deadline passed meanwhile.
    """
    address = client.address
    url = f"{address.websocket_url}?{urlencode({'clientId': client_id})}"
    patience = min(client.connect_timeout, deadline.remaining())
    if patience <= 0:
        raise TimedOut("The time was up before ComfyUI's websocket could be opened.")
    try:
        connection = websocket.create_connection(
            url,
            timeout=patience,
            header=[f"{name}: {value}" for name, value in address.headers.items()],
            sslopt={"ca_certs": client.ca_bundle},
            suppress_origin=True,
            skip_utf8_validation=True,
        )
        connection.send(FEATURE_FLAGS)
    except websocket.WebSocketBadStatusException as error:
        raise SocketLost(f"ComfyUI at {address.url} lets no websocket through (HTTP {error.status_code}).") from None
    except (websocket.WebSocketTimeoutException, TimeoutError):
        if deadline.passed:
            raise TimedOut("The time was up while ComfyUI's websocket was being opened.") from None
        raise ComfyUISilent(f"ComfyUI at {address.url} does not answer.", retry_after=5) from None
    except (websocket.WebSocketException, OSError):
        # Nobody there, or a proxy that cuts websockets off: the HTTP calls will tell which.
        client.queue_length(deadline)
        raise SocketLost(f"ComfyUI at {address.url} cuts websockets off.") from None
    return connection


def receive(connection: websocket.WebSocket, seconds: float) -> Event | None:
    """The next event; None if none came within so many seconds.

    Raises:
        SocketLost: the socket is closed or broken.
    """
    connection.settimeout(max(seconds, 0.001))
    try:
        opcode, data = connection.recv_data()
    except (websocket.WebSocketTimeoutException, TimeoutError):
        return None
    except (websocket.WebSocketException, OSError) as error:
        raise SocketLost(str(error)) from None
    if opcode == websocket.ABNF.OPCODE_TEXT:
        return parse_text(data)
    if opcode == websocket.ABNF.OPCODE_BINARY:
        return parse_binary(data)
    raise SocketLost("closed by ComfyUI")


def _without_images_lost(prompt: Prompt, outcome: Outcome) -> Outcome:
    """The outcome that the history tells of, unless images that only the socket carried are missing from it."""
    nodes = prompt.websocket_outputs
    if nodes:
        raise PromptLost(
            f"The connection to ComfyUI was lost, and with it the images of node {', '.join(nodes)} "
            "(SaveImageWebsocket), which are sent once and kept nowhere.",
            prompt_id=prompt.id,
        )
    return outcome
