"""Waiting on one websocket that all requests to a server share: the default.

A thread reads the socket and sorts its events to the prompts they are about. It never waits for a request, because
ComfyUI delays everyone's events while one client does not read its socket. It starts with the first request, after
any fork of the server, and reconnects whenever the socket is lost. Prompts that were queued under the lost socket are
looked up in the history (`quiet.py`), because their events go to the client id that queued them.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
import uuid
from collections.abc import Callable

from comfybridge.comfyui import events
from comfybridge.comfyui.calls import ComfyUISilent
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.lookup import PromptLookup
from comfybridge.comfyui.outcome import MALFORMED, Outcome, OutcomeReader, Prompt, SoFar, without_images_lost
from comfybridge.comfyui.waiting.connection import Connection, SocketLost, connect
from comfybridge.comfyui.waiting.poll import confirmed, polling_instead
from comfybridge.comfyui.waiting.quiet import Watched, Watcher
from comfybridge.comfyui.waiting.waiter import Listener, OnEvent, Stop, Waiter, out_of_time
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, TimedOut

log = logging.getLogger(__name__)

# A socket that was silent for this long is pinged, and closed if there is no answer.
PING_SECONDS = 10.0
DEAD_SECONDS = 40.0

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
# A connection that lasted this long was a good one: pauses start again from the first.
STEADY_SECONDS = 10.0
# After this many failed attempts without a waiting request, the thread ends until there is one.
IDLE_ATTEMPTS = 5

# These make up half of ComfyUI's events for a short prompt; the other ones show as well that it is alive.
PROGRESS_FRAMES = (b'{"type": "progress_state"',)

# With many waiting requests, frames arrive faster than the thread can wake for each, so they are collected for a
# moment.
CROWD = 32
BREATH_SECONDS = 0.002

# Previews beyond this are dropped for a caller that reads slowly.
MOST_UNREAD_IMAGES = 8


class HubWaiter(Waiter):
    """One websocket for all requests of this process to one server.

    Args:
        on_lost: called in the hub's thread when the websocket was lost, as it is when ComfyUI restarts.

    Attributes:
        queue_remaining: how many prompts wait or run there, by ComfyUI's last event; None without a connection.
        last_heard: when the last frame arrived, on `time.monotonic()`'s clock.
    """

    name = "hub"
    receives_images = True

    def __init__(
        self, client: ComfyUIClient, lookup: PromptLookup | None = None, on_lost: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(client, lookup)
        self._on_lost = on_lost
        self.queue_remaining: int | None = None
        self.last_heard = float("-inf")
        # by their prompts; several if a request was repeated
        self._watches: dict[str, tuple[HubListener, ...]] = {}
        self._watching = threading.Lock()
        self._audience: set[HubListener] = set()  # the listeners that want events
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._attempts = 0
        self._failure: Exception | None = None
        self._is_wanted = False
        self._closed = False
        self._watcher = Watcher(self.lookup, self._listeners)

    def listen(self, prompt: Prompt, deadline: Deadline) -> Listener:
        """Have the shared socket listen for the prompt too; poll instead if no websocket can be opened."""
        with self._changed:
            try:
                connection = self._connection or self._connected(deadline)
            except SocketLost as error:
                return polling_instead(self, error, prompt)
            listener = HubListener(self, prompt, connection.client_id)
            self._watch(listener)
        self._watcher.start()
        return listener

    def attach(self, prompt: Prompt, deadline: Deadline) -> Listener:
        """Listen for it if the prompt was queued by this process; otherwise its events go elsewhere."""
        is_heard = any(not each.is_orphan for each in self._watches.get(prompt.id, ()))
        listener = self.listen(prompt, deadline)
        if isinstance(listener, HubListener):
            listener.is_orphan = not is_heard
            listener.last_heard = float("-inf")  # it may just have ended
        return listener

    def close(self) -> None:
        """Close the socket and end the threads."""
        self._watcher.close()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            connection = self._connection
        if connection is not None:
            connection.close()

    # -- for its listeners ---------------------------------------------------------------------------------------

    def forget(self, listener: HubListener) -> bool:
        """Stop delivering to a listener; returns whether it was registered."""
        with self._watching:
            watches = self._watches.get(listener.prompt.id, ())
            if listener not in watches:
                return False
            left = tuple(each for each in watches if each is not listener)
            if left:
                self._watches[listener.prompt.id] = left
            else:
                del self._watches[listener.prompt.id]
            return True

    def dismiss(self, listener: HubListener) -> None:
        """Stop delivering events to this listener; only the outcome still matters."""
        self._audience.discard(listener)

    def _watch(self, listener: HubListener) -> None:
        with self._watching:
            self._watches[listener.prompt.id] = (*self._watches.get(listener.prompt.id, ()), listener)
        self._audience.add(listener)

    def _listeners(self) -> list[HubListener]:
        return [each for watches in list(self._watches.values()) for each in watches]

    # -- the connection ------------------------------------------------------------------------------------------

    def _connected(self, deadline: Deadline) -> Connection:
        """The connection, once the thread has made it. Called with the lock held.

        Raises:
            SocketLost, ComfyUIUnreachable, TimedOut: as `connect` raises them.
        """
        while True:
            attempts = self._attempts
            self._is_wanted = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="comfybridge hub", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._connection or self._attempts > attempts, deadline.remaining())  # noqa: B023
            if self._connection is not None:
                return self._connection
            if deadline.passed:
                raise TimedOut("The time was up while ComfyUI's websocket was being opened.")
            if self._failure is not None and self._attempts > attempts:
                break
            # it was made, and lost before this thread continued
        if isinstance(self._failure, SocketLost):
            raise SocketLost(str(self._failure))
        assert isinstance(self._failure, BridgeError)
        raise type(self._failure)(self._failure.message, retry_after=self._failure.retry_after)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        idle_attempts = 0
        while not self._closed:
            connection = self._try_to_connect()
            if connection is not None:
                began = time.monotonic()
                self._serve(connection)
                idle_attempts = 0
                pause = FIRST_PAUSE if time.monotonic() - began > STEADY_SECONDS else pause
            else:
                idle_attempts += 1
            with self._changed:
                if not self._watches and not self._is_wanted and idle_attempts >= IDLE_ATTEMPTS:
                    self._thread = None
                    return
                # a request that arrives meanwhile does not wait for the end of the pause
                self._changed.wait_for(lambda: self._is_wanted or self._closed, pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _try_to_connect(self) -> Connection | None:
        connection: Connection | None = None
        failure: Exception | None = None
        with self._changed:
            self._is_wanted = False
        try:
            connection = connect(self.client, uuid.uuid4().hex, Deadline(self.client.connect_timeout))
        except TimedOut:  # the thread's own time limit, not a request's
            failure = ComfyUISilent(f"ComfyUI at {self.client.address.url} does not answer.", retry_after=5)
        except (SocketLost, BridgeError) as error:
            failure = error
        with self._changed:
            self._connection, self._failure = connection, failure
            self._attempts += 1
            self._changed.notify_all()
        return connection

    def _serve(self, connection: Connection) -> None:
        """Read the connection until it is lost."""
        try:
            self._read(connection)
        except SocketLost as error:
            if not self._closed:
                log.warning("The websocket to ComfyUI at %s was lost: %s", self.client.address.url, error)
        except Exception:  # a bug, which must not stop all events
            log.exception("The websocket to ComfyUI at %s is opened again.", self.client.address.url)
        finally:
            self._on_lost()
            with self._changed:
                self._connection = self.queue_remaining = None
                for listener in self._listeners():
                    listener.is_orphan = True
            connection.close()

    def _read(self, connection: Connection) -> None:
        current: tuple[HubListener, ...] = ()  # the prompt that runs: images without metadata belong to it
        last_heard = time.monotonic()
        while not self._closed:
            if len(self._watches) >= CROWD and not connection.has_read_ahead:
                time.sleep(BREATH_SECONDS)
            event = connection.receive(PING_SECONDS, () if self._audience else PROGRESS_FRAMES)
            now = time.monotonic()
            if event is None:
                if now - last_heard > DEAD_SECONDS:
                    raise SocketLost("nothing came, and no answer to a ping")
                connection.ping()
                continue
            last_heard = self.last_heard = now
            if isinstance(event, events.PromptEvent):
                current = self._watches.get(event.prompt_id, ())
                for listener in current:
                    listener.feed(event, now)
            elif isinstance(event, events.Status):
                self.queue_remaining = event.queue_remaining
            elif isinstance(event, events.Image):
                listeners = current if event.prompt_id is None else self._watches.get(event.prompt_id, ())
                for listener in listeners:
                    listener.feed(event, now)


class HubListener(Listener, Watched):
    """One prompt that the hub listens for."""

    def __init__(self, hub: HubWaiter, prompt: Prompt, client_id: str) -> None:
        self._hub = hub
        self.prompt = prompt
        self.client_id = client_id
        self.warnings: list[str] = []
        self.queued_at: float | None = None
        self.last_heard = time.monotonic()
        self.is_orphan = False
        self._reader = OutcomeReader(prompt)
        self._heard: queue.SimpleQueue[events.Event | None] = queue.SimpleQueue()  # None: it has ended
        self._images_put = 0  # counted by the hub's thread,
        self._images_taken = 0  # and by the waiting thread
        self._keeps_events = True  # until a listener for them is known
        self._result: Outcome | BridgeError | None = None
        self._stop = Stop()

    def wait(self, prompt: Prompt, deadline: Deadline, on_event: OnEvent | None = None) -> Outcome:
        self._keeps_events = on_event is not None
        if on_event is None:
            self._hub.dismiss(self)
        self.queued_at = time.monotonic()
        while True:
            try:
                event = self._heard.get(timeout=deadline.remaining())
            except queue.Empty:
                raise out_of_time(prompt, deadline) from None
            if event is None:
                break
            self._images_taken += isinstance(event, events.Image)
            if on_event is not None:
                on_event(event)
        if isinstance(self._result, BridgeError):
            raise self._result
        assert self._result is not None
        if self._result.is_complete:
            return self._result
        return confirmed(self._hub, prompt, self._result, deadline, self._stop)

    def stop(self, error: BridgeError) -> None:
        self._stop.ask(error)
        self._end(error)

    def close(self) -> None:
        self._hub.forget(self)
        self._hub.dismiss(self)

    @property
    def so_far(self) -> SoFar | None:
        return self._reader.so_far

    # -- called by the hub's threads -----------------------------------------------------------------------------

    def feed(self, event: events.Event, now: float) -> None:
        """Deliver an event of the prompt. Never blocks."""
        self.last_heard = now
        if self._keeps_events and self._has_room_for(event):
            self._heard.put(event)
        try:
            outcome = self._reader.read(event)
        except BridgeError as error:
            self._end(error)
        except MALFORMED:
            self.is_orphan = True  # events are no longer reliable; the history is
        else:
            if outcome is not None:
                self._end(outcome)

    def _has_room_for(self, event: events.Event) -> bool:
        if not isinstance(event, events.Image):
            return True
        if self._images_put - self._images_taken >= MOST_UNREAD_IMAGES:
            return False
        self._images_put += 1
        return True

    def finish(self, result: Outcome | BridgeError) -> None:
        """End the waiting with the result from the history."""
        if isinstance(result, Outcome):
            try:
                result = without_images_lost(self.prompt, result)
            except BridgeError as error:
                result = error
        self._end(result)

    def _end(self, result: Outcome | BridgeError) -> None:
        if self._hub.forget(self):  # the first result counts
            self._result = result
            self._heard.put(None)
