"""Detects callers that hang up while their request waits: nobody needs the picture, so its prompt is cancelled.

One thread checks all waiting requests of the process, twice a second. It starts with the first of them and ends when
there are none, so a waiting request costs an entry in a set.

A caller that closes its side of the connection but goes on listening (as `nc -N` does) can't be distinguished from
one that is gone. Browsers, curl, HTTP libraries and proxies keep their side open until they have the answer, so a
closed side counts as a hang-up, as it does in nginx and in Go's net/http.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from flask import request

from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.runner import Runner

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5

# If the system reports that the other side is closed, unread data before that does not matter.
CLOSED = getattr(select, "POLLRDHUP", 0)


def caller_has_left() -> Callable[[], bool]:
    """A function that tells whether the caller of the current request has hung up, as far as the server can say."""
    environ = request.environ
    told = environ.get("comfybridge.has_left") or environ.get("waitress.client_disconnected")
    return told if callable(told) else lambda: False


class Watch:
    """A waiting request whose caller may hang up. End it, or use it in a `with`.

    It is made in the context of the HTTP request, from which it takes the server's way to check on the caller: the
    socket (gunicorn), a function (waitress), or none.

    Args:
        admitted: the request that waits.
    """

    def __init__(self, runner: Runner, admitted: Admitted) -> None:
        self.runner = runner
        self.admitted = admitted
        self.has_hung_up = False
        self.has_ended = False
        self.is_wanted = runner.settings.cancel_on_hangup
        self.socket: socket.socket | None = request.environ.get("gunicorn.socket")
        self.tell = request.environ.get("waitress.client_disconnected")
        if self.is_wanted:
            trace = admitted.trace
            trace.has_left = request.environ.get("comfybridge.has_left") or self.tell or trace.has_left
        if self.is_wanted and (self.socket is not None or self.tell is not None):
            WATCHER.add(self)

    def hang_up(self) -> None:
        """Give up the prompt of a caller that is gone, unless the watch has ended or the settings keep the prompt."""
        self.has_hung_up = True
        if self.is_wanted:
            WATCHER.add(self)

    def end(self) -> None:
        """Stop watching: the request waits no longer. May be called twice."""
        WATCHER.remove(self)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Watcher:
    """The thread that checks all watches."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._is_running = False
        self._lock = threading.Lock()

    def add(self, watch: Watch) -> None:
        """Begin to check a watch, unless it has ended."""
        with self._lock:
            if watch.has_ended:
                return
            self._watches.add(watch)
            if not self._is_running:
                threading.Thread(target=self._run, name="comfybridge hang-ups", daemon=True).start()
                self._is_running = True

    def remove(self, watch: Watch) -> None:
        """Stop checking a watch."""
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
            except Exception:  # a bug, which must not end the checks for others
                log.exception("Callers that hung up may not have been noticed.")


WATCHER = Watcher()


def _look(watches: Sequence[Watch]) -> None:
    for watch in _with_closed_sockets(watches):
        watch.has_hung_up = True
    for watch in watches:
        if watch.has_hung_up or (watch.tell is not None and watch.tell()):
            # repeatedly, because the prompt may not be queued yet
            watch.runner.abandon(watch.admitted)


def _with_closed_sockets(watches: Sequence[Watch]) -> Iterator[Watch]:
    found = {}
    for watch in watches:
        if watch.socket is not None and (descriptor := watch.socket.fileno()) >= 0:  # otherwise it has just ended
            found[descriptor] = (watch, watch.socket)
    if not found:
        return  # waitress also runs on systems without poll
    poll = select.poll()
    for descriptor in found:
        poll.register(descriptor, CLOSED or select.POLLIN)
    for descriptor, events in poll.poll(0):
        watch, connection = found[descriptor]
        if not events & select.POLLNVAL and (CLOSED or _is_at_end(connection)):
            yield watch


def _is_at_end(connection: socket.socket) -> bool:
    """Whether the caller has closed its side and everything before that has been read."""
    try:
        # the underlying connection of an encrypted one
        return not socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
