"""The gunicorn worker: one loop takes callers and whole requests, threads answer them.

The loop never waits for one caller, and does little at once for any. It reads heads and bodies (`reader.py`), bounded
in size and time, and only a request that is whole takes a thread, unless its caller has left meanwhile. It builds on
gunicorn's base worker, its parser and its `Response`, and overrides nothing but `run`.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import logging
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from gunicorn.http.wsgi import Response
from gunicorn.workers.base import Worker as BaseWorker

from comfybridge.serving.bodies import Budget, Limits, LimitsOf
from comfybridge.serving.caller_socket import LEAST_RATE, CallerSocket
from comfybridge.serving.memory import give_back
from comfybridge.serving.reader import Incoming, Reader, Terms
from comfybridge.serving.refusals import (
    Refused,
    WriteRefusal,
    admits_all,
    crowded,
    cut_short,
    left,
    no_thread,
    too_slow,
    write_plainly,
)
from comfybridge.serving.stopping import Stop
from comfybridge.serving.threads import Threads

log = logging.getLogger(__name__)

READ_BYTES = 64 * 1024
# So many callers are taken before those that are there get their turn.
TAKEN_AT_ONCE = 64
# Of the requests that take the loop longer (the application is asked whether their bodies are wanted; bodies come in
# very small chunks), so many get a portion of its time in each turn, after all others.
PORTIONS_AT_ONCE = 20
# How often the loop closes the connections whose time is up.
LOOK_SECONDS = 0.5
# On shutdown, connections without a request are closed after that time: one may be on its way.
LINGER_SECONDS = 2.0
# So long an answered caller may be silent before it hangs up: without that the end of its answer might be lost;
FAREWELL_SECONDS = 2.0
# so long it may go on sending a body that was refused, and so much of it.
FAREWELL_AT_MOST = 60.0
FAREWELL_BYTES = 256 * 1024 * 1024
# The log says at most so often that the system allows no more connections.
WARN_SECONDS = 60.0
# Where there are too many connections, this part of those that can be closed is, as finding them takes a while.
CLOSED_AT_ONCE = 0.02

# After so many requests, or a large one, memory is given back when fewer than that come between two looks and none
# is under way; and so many threads are kept then.
MANY, QUIET, KEPT_THREADS = 20, 3, 16

# Of the requests that are answered by their heads alone, so many are in each look: a caller that sends no body, or no
# key, and comes again at once costs the others little.
REFUSED_AT_ONCE = 20
# So many of them wait at most; the others get a short refusal, so that they take no connections from other callers.
MOST_REFUSED = 5 * REFUSED_AT_ONCE

OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

READING, WAITING, WORKING, LEAVING, CLOSED = "reading", "waiting", "working", "leaving", "closed"


class Connection:
    """A caller's connection.

    Attributes:
        state: READING (of a request, or waiting for one), WAITING (for a portion of the loop's time), WORKING (a
            thread has it), LEAVING (all is said), CLOSED.
        is_parked: whether the loop does not listen to it, as something came while WAITING or WORKING.
        until: when something must have happened, on `time.monotonic()`'s clock.
        end: when it is closed whatever happens, once all is said.
        seen: how many bytes of a body had come when `until` was set; or what came after the answer.
    """

    __slots__ = ("end", "is_parked", "reader", "seen", "socket", "state", "until")

    def __init__(self, taken: CallerSocket, reader: Reader, until: float) -> None:
        self.socket = taken
        self.reader = reader
        self.state = READING
        self.is_parked = False
        self.until = self.end = until
        self.seen = 0


def _looked_up(cfg: Any) -> Any:
    """gunicorn's configuration with its settings as plain attributes: gunicorn looks each up in two calls, which is a
    tenth of the loop's work for a request."""
    known = copy.copy(cfg)
    vars(known).update((name, setting.get()) for name, setting in cfg.settings.items())
    return known


class Worker(BaseWorker):  # type: ignore[misc]  # untyped
    """gunicorn's worker. Its hook `post_worker_init` sets the attributes below.

    Attributes:
        patience: seconds within which a head must have come, and more that `caller_socket.py` says.
        limits: how many bytes bodies may have.
        kept_back: threads that answer requests to a path alone.
        takes_leavers: whether requests are answered although their callers have left.
        stop: bounds the wait for running requests on shutdown.
    """

    patience = 60.0
    limits = LimitsOf(Limits(128 * 1024 * 1024, Budget(640 * 1024 * 1024)))
    kept_back: Mapping[str, int] = {}
    takes_leavers = False
    stop: Stop | None = None

    def run(self) -> None:
        """Serve until told to stop, and then until all are answered. Called by gunicorn."""
        self.cfg: Any = _looked_up(self.cfg)
        self._terms = Terms(self.cfg, self.limits, getattr(self.wsgi, "admits", admits_all))
        self._write_refusal: WriteRefusal = getattr(self.wsgi, "write_refusal", write_plainly)
        self._threads = Threads(self.cfg.threads)
        self._kept_back = {path: Threads(count) for path, count in self.kept_back.items()}
        self._connections: set[Connection] = set()
        self._calls: deque[tuple[Callable[[Connection], None], Connection]] = deque()  # from other threads
        self._waiting: deque[Connection] = deque()
        self._refused: deque[tuple[Connection, Incoming]] = deque()
        self._next_look = self._next_warning = 0.0
        self._handed_over = self._before = self._tidied = 0
        self._had_large = False
        self._linger_until: float | None = None
        self._is_listening = False
        self._poller = selectors.DefaultSelector()
        self._poller.register(self.PIPE[0], selectors.EVENT_READ, self._on_wake)
        self._listen(True)
        while self.alive:
            self._turn()
        self._close_port()
        end = time.monotonic() + self.cfg.graceful_timeout
        while self._connections and time.monotonic() < end:
            self._turn()
        for threads in (self._threads, *self._kept_back.values()):
            threads.shutdown()

    def _turn(self) -> None:
        """Wait for events, and handle them."""
        self.notify()
        if self.ppid != os.getppid():  # gunicorn itself has died
            self.alive = False
        for key, _ in self._poller.select(0 if self._waiting else LOOK_SECONDS):
            if not isinstance(key.data, Connection):
                key.data(key.fileobj)
            else:
                self._handle(self._on_readable, key.data)
        for _ in range(min(len(self._waiting), PORTIONS_AT_ONCE)):
            self._handle(self._go_on, self._waiting.popleft())
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look(now)
            self._tidy()

    def _handle(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Take a step with a connection, unless it was closed in this turn. A bug costs the connection, no more."""
        if connection.state is CLOSED:
            return
        try:
            step(connection)
        except Exception:
            log.exception("A connection was closed because of a bug.")
            self._close(connection)

    def _tidy(self) -> None:
        """Give memory back once it is quiet after many requests."""
        is_quiet = self._handed_over - self._before < QUIET and self._threads.is_idle
        self._before = self._handed_over
        if is_quiet and (self._handed_over - self._tidied > MANY or self._had_large):
            self._had_large = False
            self._tidied = self._handed_over
            self._threads.shrink(KEPT_THREADS)
            give_back()

    def _call(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Have the loop take a step with a connection. For other threads."""
        self._calls.append((step, connection))
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake already
            os.write(self.PIPE[1], b".")

    def _on_wake(self, pipe: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(pipe, 4096)
        while self._calls:
            self._handle(*self._calls.popleft())

    # -- taking callers ------------------------------------------------------------------------------------------

    def _listen(self, listens: bool) -> None:
        if listens == self._is_listening:
            return
        self._is_listening = listens
        for listener in self.sockets:
            listener.setblocking(False)
            if listens:
                self._poller.register(listener, selectors.EVENT_READ, self._on_callers)
            else:
                self._poller.unregister(listener)

    def _on_callers(self, listener: Any) -> None:
        for _ in range(TAKEN_AT_ONCE):
            if not self._take(listener):
                return

    def _take(self, listener: Any) -> bool:
        """Take the next caller; whether there was one and there may be more."""
        if len(self._connections) >= self.cfg.worker_connections and not self._close_idlest():
            self._listen(False)
            return False
        try:
            taken, address = listener.accept()
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                self._make_do()
            return False
        try:
            caller = CallerSocket(taken, self.patience)
            reader = Reader(self._terms, address, listener.getsockname())
        except OSError:  # it has hung up already
            return True
        connection = Connection(caller, reader, time.monotonic() + (self.cfg.keepalive or self.patience))
        self._connections.add(connection)
        self._poller.register(caller, selectors.EVENT_READ, connection)
        self._handle(self._on_readable, connection)
        return True

    def _make_do(self) -> None:
        """Go on where the system allows no more connections at the moment: close idle ones, or wait for a while."""
        if self._close_idlest():
            return
        self._listen(False)  # until the next look
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARN_SECONDS
            log.warning("This system allows the bridge only %d connections now.", len(self._connections))

    def _close_idlest(self) -> bool:
        """Close connections that ask for nothing, those that wait longest first; whether there was one."""
        idle = [each for each in self._connections if each.state is not WORKING]
        idle.sort(key=lambda each: (each.state is not LEAVING, each.reader.has_begun, each.until))
        for each in idle[: 1 + int(CLOSED_AT_ONCE * len(idle))]:
            self._close(each)
        return bool(idle)

    def _close_port(self) -> None:
        """On shutdown: take the callers that wait already, and no others."""
        self._listen(False)
        for listener in self.sockets:
            while self._take(listener):
                pass
            listener.close()
        self._linger_until = time.monotonic() + LINGER_SECONDS
        if self.stop is not None:
            self.stop.begin()

    # -- reading requests ----------------------------------------------------------------------------------------

    def _on_readable(self, connection: Connection) -> None:
        if connection.state in (WAITING, WORKING):
            self._poller.unregister(connection.socket)
            connection.is_parked = True
            if connection.state is READING:  # a thread has answered meanwhile, and did not see that it is parked
                self._resume(connection)
            return
        try:
            data = connection.socket.take(READ_BYTES)
        except OSError:
            self._close(connection)
            return
        if data is None:
            return
        if connection.state is LEAVING:
            connection.seen += len(data)
            connection.until = min(connection.end, time.monotonic() + FAREWELL_SECONDS)
            if not data or connection.seen > FAREWELL_BYTES:
                self._close(connection)
        elif data:
            self._feed(connection, data)
        elif connection.reader.has_begun:
            self._refuse(connection, cut_short())
        else:
            self._close(connection)

    def _feed(self, connection: Connection, data: bytes) -> None:
        """Have a thread answer the request that is whole with that, or wait for more of it."""
        reader = connection.reader
        had_begun, had_body = reader.has_begun, reader.body_bytes is not None
        try:
            incoming = reader.feed(data)
        except Refused as refusal:
            self._refuse(connection, refusal)
            return
        except Exception:  # a bug, which must not end the worker
            log.exception("A request could not be read.")
            self._close(connection)
            return
        if incoming is not None:
            if incoming.is_refused and len(self._refused) >= MOST_REFUSED:
                self._refuse(connection, crowded(), incoming)
                return
            connection.state = WORKING
            if incoming.is_refused:
                self._refused.append((connection, incoming))
            else:
                self._hand_over(connection, incoming)
            return
        if not had_begun or (reader.body_bytes is not None and not had_body):
            connection.seen = 0
            connection.until = time.monotonic() + self.patience
        if reader.is_interrupted:
            connection.state = WAITING
            self._waiting.append(connection)
        if reader.wants_continue:
            reader.wants_continue = False
            connection.socket.give(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _go_on(self, connection: Connection) -> None:
        """Give a request another portion of the loop's time."""
        connection.state = READING
        self._feed(connection, b"")
        if connection.state is READING:
            self._unpark(connection)

    def _unpark(self, connection: Connection) -> None:
        if connection.is_parked:
            connection.is_parked = False
            self._poller.register(connection.socket, selectors.EVENT_READ, connection)

    def _hand_over(self, connection: Connection, incoming: Incoming) -> None:
        self._handed_over += 1
        self._had_large |= incoming.is_large
        threads = self._kept_back.get(incoming.environ["PATH_INFO"], self._threads)
        if threads is not self._threads and not connection.socket.takes_more():
            threads = self._threads  # a caller that does not read must not hold those that are kept back
        try:
            threads.give(partial(self._answer, connection, incoming, threads))
        except RuntimeError:
            incoming.close()
            self._refuse(connection, no_thread(), incoming)

    def _resume(self, connection: Connection) -> None:
        """Listen to a connection again after a thread has answered its request."""
        connection.state = READING
        connection.until = time.monotonic() + self.cfg.keepalive
        self._unpark(connection)
        if connection.reader.has_begun:
            self._feed(connection, b"")

    # -- answering, in a thread ----------------------------------------------------------------------------------

    def _answer(self, connection: Connection, incoming: Incoming, threads: Threads) -> None:
        """Answer a request, unless nobody waits for it any more."""
        is_kept = False
        try:
            method = incoming.head.method
            if not self.takes_leavers and method not in ("GET", "HEAD") and connection.socket.has_left():
                connection.socket.give(self._worded(left(), incoming.environ))
            else:
                is_kept = self._run_app(connection.socket, incoming)
        except OSError:  # the caller is gone, or the answer can't be finished
            pass
        except Exception:
            log.exception("A request was not answered completely.")
        finally:
            incoming.close()
            threads.take_back()
            if not is_kept:
                self._call(self._leave, connection)
            elif connection.reader.has_begun or not self.alive:
                self._call(self._resume, connection)
            else:  # the loop need not be woken
                connection.until = time.monotonic() + self.cfg.keepalive
                connection.state = READING
                if connection.is_parked:
                    self._call(self._resume_parked, connection)

    def _resume_parked(self, connection: Connection) -> None:
        if connection.is_parked and connection.state is READING:  # else it is at work for the next request
            self._resume(connection)

    def _run_app(self, caller: CallerSocket, incoming: Incoming) -> bool:
        """Have the application answer; whether the connection can be used again."""
        response = Response(incoming.head, caller, self.cfg)
        if incoming.is_refused or not self.alive or not self.cfg.keepalive:
            response.force_close()
        environ = incoming.environ
        environ["gunicorn.socket"] = caller
        environ["comfybridge.has_left"] = caller.has_left
        began = datetime.now()
        try:
            chunks = self.wsgi(environ, response.start_response)
            try:
                for chunk in chunks:
                    response.write(chunk)
                response.close()
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()
        except OSError:
            raise
        except Exception:
            if not response.headers_sent:
                bug = Refused(500, "internal_error", "Something went wrong inside the bridge.")
                caller.give(self._worded(bug, environ))
            raise
        finally:
            if self.cfg.accesslog:
                self.log.access(response, incoming.head, environ, datetime.now() - began)
            self._count()
        return not response.should_close()

    def _count(self) -> None:
        """End the worker where gunicorn's `max_requests` says so."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.alive = False
            self._wake()

    # -- the end of connections ----------------------------------------------------------------------------------

    def _refuse(self, connection: Connection, refusal: Refused, incoming: Incoming | None = None) -> None:
        """Refuse a request: one that is whole, or the one that is being read."""
        log.info("A request was refused: %s", refusal.sentence)
        path = connection.reader.path if incoming is None else incoming.environ["PATH_INFO"]
        connection.socket.give(refusal.answer(path, self._write_refusal))
        self._leave(connection)

    def _worded(self, refusal: Refused, environ: Mapping[str, Any]) -> bytes:
        return refusal.answer(environ["PATH_INFO"], self._write_refusal)

    def _leave(self, connection: Connection) -> None:
        """Close a connection once its caller has had time to read the answer."""
        connection.reader.close()
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the caller has closed it
            self._close(connection)
            return
        connection.state = LEAVING
        connection.seen = 0
        now = time.monotonic()
        connection.until, connection.end = now + FAREWELL_SECONDS, now + FAREWELL_AT_MOST
        self._unpark(connection)
        self._on_readable(connection)

    def _look(self, now: float) -> None:
        """Close the connections whose time is up."""
        for _ in range(min(len(self._refused), REFUSED_AT_ONCE)):
            self._hand_over(*self._refused.popleft())
        linger = self._linger_until
        for each in [each for each in self._connections if each.state in (READING, LEAVING)]:
            body = each.reader.body_bytes
            if linger is not None and now >= linger and body is None and each.state is READING:
                self._close(each)
            elif now < each.until:
                continue
            elif each.state is READING and body is not None and body - each.seen >= LEAST_RATE * self.patience:
                each.seen, each.until = body, now + self.patience
            elif each.state is READING and each.reader.has_begun:
                self._refuse(each, too_slow())
            else:
                self._close(each)
        if self.alive and len(self._connections) < self.cfg.worker_connections:
            self._listen(True)

    def _close(self, connection: Connection) -> None:
        if connection.state is CLOSED:
            return
        connection.state = CLOSED
        self._connections.discard(connection)
        if not connection.is_parked:
            self._poller.unregister(connection.socket)
        connection.reader.close()
        connection.socket.close()
