"""Callers who hang up while their request waits: nobody needs the picture, so the prompt is cancelled.

One thread checks all waiting requests of the process, twice a second. It begins with the first of them and ends
when there are none, so a waiting request costs an entry in a set.

A caller that closes its side of the connection and goes on listening (`nc -N` does) can't be told from one that is
gone. Browsers, curl and HTTP libraries keep their side open until they have the answer, and so do proxies for them;
so a closed side is taken for a hang-up, as nginx and Go's net/http take it.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence

from flask import request

from comfybridge.bridge import Bridge
from comfybridge.prompts.admitted import Admitted

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5

# Where the system tells that the other side is closed, what may have come before that is of no interest.
CLOSED = getattr(select, "POLLRDHUP", 0)


class Watch:
    """A waiting request whose caller may hang up. End it, or use it in a `with`.

    Made in the context of the HTTP request, of which it only remembers how the server tells of its caller: by the
    socket (gunicorn), by a function (waitress), or not at all.

    Args:
        admitted: what the bridge is blocked on.
    """

    def __init__(self, bridge: Bridge, admitted: Admitted) -> None:
        self.bridge = bridge
        self.admitted = admitted
        self.has_hung_up = False
        self.has_ended = False
        self.is_wanted = bridge.settings.cancel_on_hangup
        self.socket: socket.socket | None = request.environ.get("gunicorn.socket")
        self.tell = request.environ.get("waitress.client_disconnected")
        if self.is_wanted:
            trace = admitted.trace
            trace.has_left = request.environ.get("comfybridge.has_left") or self.tell or trace.has_left
        if self.is_wanted and (self.socket is not None or self.tell is not None):
            WATCHER.add(self)

    def hang_up(self) -> None:
        """The caller is known to be gone: its prompt is given up, unless that is over or not wanted."""
        self.has_hung_up = True
        if self.is_wanted:
            WATCHER.add(self)

    def end(self) -> None:
        """The request waits no longer. May be called twice."""
        WATCHER.remove(self)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Watcher:
    """The thread that looks after watches."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._is_running = False
        self._lock = threading.Lock()

    def add(self, watch: Watch) -> None:
        """Look after a watch from now on, unless it has ended."""
        with self._lock:
            if watch.has_ended:
                return
            self._watches.add(watch)
            if not self._is_running:
                threading.Thread(target=self._run, name="comfybridge hang-ups", daemon=True).start()
                self._is_running = True

    def remove(self, watch: Watch) -> None:
        """Look after it no longer."""
        with self._lock:
            watch.has_ended = True
            self._watches.discard(watch)

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                watches = list(self._watches)
                self._is_running = bool(watches)
            if not watches:
                return
            try:
                _look(watches)
            except Exception:  # a bug, which must not leave the others without a watch
                log.exception("Callers who hung up may not have been noticed.")


WATCHER = Watcher()


def _look(watches: Sequence[Watch]) -> None:
    for watch in _with_closed_sockets(watches):
        watch.has_hung_up = True
    for watch in watches:
        if watch.has_hung_up or (watch.tell is not None and watch.tell()):
            # again and again: it may not be queued yet
            watch.bridge.abandon(watch.admitted)


def _with_closed_sockets(watches: Sequence[Watch]) -> Iterator[Watch]:
    found = {}
    for watch in watches:
        if watch.socket is not None and (descriptor := watch.socket.fileno()) >= 0:  # else it has ended just now
            found[descriptor] = (watch, watch.socket)
    if not found:
        return  # waitress runs also where there is no poll
    poll = select.poll()
    for descriptor in found:
        poll.register(descriptor, CLOSED or select.POLLIN)
    for descriptor, events in poll.poll(0):
        watch, connection = found[descriptor]
        if not events & select.POLLNVAL and (CLOSED or _is_at_end(connection)):
            yield watch


def _is_at_end(connection: socket.socket) -> bool:
    """Whether all has been read that will ever come."""
    try:
        # of the connection below where it is an encrypted one
        return not socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
