"""The gunicorn worker: its threads work on requests that are there, and the loop waits for those that are not.

Left to itself, gunicorn's threaded worker has its threads wait for the first bytes of each connection and read the
heads of requests, so a few hundred callers who connect and say nothing keep everybody else out; it closes connections
in its loop, where one caller who does not hang up in turn holds up all others for two seconds; and when it is told to
stop, its port takes callers whom nobody will serve. Here the loop reads the heads and waits for the last words, the
connection that has been idle for longest gives way where there are too many, and a stop closes the port at once.

It changes methods that gunicorn does not promise to keep; requirements.txt has the versions that it goes with.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from comfybridge.serving.caller_socket import CallerSocket
from comfybridge.serving.stopping import Stop
from comfybridge.serving.threads import Threads

log = logging.getLogger(__name__)

# At a stop, who has not asked for anything is given so long: a request may be on its way.
LINGER_SECONDS = 2.0
# So long a thread waits for the next request of a caller that it has answered.
AT_ONCE_SECONDS = 0.005
# So long an answered caller has for hanging up in turn, without which the end of its answer might be lost,
FAREWELL_SECONDS = 2.0
# and so much may still come from it.
FAREWELL_BYTES = 64 * 1024

OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
NO_LISTENER = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}

Waiting = dict[TConn, float]  # until when, on `time.monotonic()`'s clock; whoever comes later has longer


class Worker(ThreadWorker):  # type: ignore[misc]  # untyped
    """Takes callers, and hands each of their requests to a thread once its head is there.

    Attributes:
        patience: seconds within which a head must have come, and more that `CallerSocket` says.
        stop: bounds the wait for running requests at a stop.
    """

    patience = 60.0
    stop: Stop | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._silent: Waiting = {}  # nothing has come yet
        self._begun: Waiting = {}  # a part of a head has
        self._leaving: Waiting = {}  # all is said, but for the caller's hanging up
        self._has_closed_port = False

    def get_thread_pool(self) -> Threads:
        """Called once, at the beginning."""
        return Threads(self.cfg.threads)

    # -- taking callers ------------------------------------------------------------------------------------------

    def accept(self, listener: Any) -> None:
        """Called when somebody waits to be taken."""
        self._accept(listener)

    def _accept(self, listener: Any) -> bool:
        """Take the next caller; whether there was one."""
        try:
            connection, address = listener.accept()
        except OSError as error:
            if error.errno in NO_LISTENER:
                raise
            if error.errno in OUT_OF_FILES:
                self._make_do()
            return False  # nobody is there, or no longer
        try:
            caller = CallerSocket(connection, self.patience)
        except OSError:  # it has hung up already
            return True
        conn = TConn(self.cfg, caller, address, listener.getsockname())
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._close_idlest()
        if self.cfg.is_ssl:
            self._wait_for(conn)
        else:
            self._read_head(conn)
        return True

    def _make_do(self) -> None:
        """Go on where the system allows no more connections."""
        if not self._close_idlest():
            self.worker_connections = max(1, self.nr_conns)  # the loop takes nobody before somebody leaves
            log.warning("This system lets the bridge hold %d connections and no more.", self.nr_conns)

    def _close_idlest(self) -> bool:
        """Close the connection that has asked for nothing for longest; whether there is one."""
        for waiting in (self._leaving, self._silent, self._begun):
            for conn in waiting:
                self._close(conn)
                return True
        if not self.keepalived_conns:
            return False
        conn = self.keepalived_conns.popleft()
        self.poller.unregister(conn.sock)
        self._close(conn)
        return True

    def set_accept_enabled(self, enabled: bool) -> None:
        """At a stop, who waits to be taken is taken, and nobody else; who asks for nothing is not waited for long."""
        super().set_accept_enabled(enabled)
        if self.alive or enabled or self._has_closed_port:
            return
        self._has_closed_port = True
        for listener in self.sockets:
            while self._accept(listener):
                pass
            listener.close()
        linger_until = time.monotonic() + LINGER_SECONDS
        for waiting in (self._silent, self._begun):
            for conn, until in waiting.items():
                waiting[conn] = min(until, linger_until)
        for conn in self.keepalived_conns:
            conn.timeout = min(conn.timeout, linger_until)
        if self.stop is not None:
            self.stop.begin()

    # -- waiting for requests ------------------------------------------------------------------------------------

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Called when something comes over a connection that was kept alive."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        if self.cfg.is_ssl:
            self.enqueue_req(conn)
        else:
            self._read_head(conn)

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread, which finds the head of a request there."""
        conn.data_ready = True
        if isinstance(conn.sock, CallerSocket):
            conn.sock.begin()
        self.tpool.give(partial(self._serve, conn))

    def _serve(self, conn: Any) -> None:
        """Answer a request, in a thread, and those that come at once after it."""
        is_kept = False
        try:
            while True:
                is_kept = False  # whatever is raised
                is_kept = bool(self.handle(conn))
                if not is_kept or not self._goes_on(conn):
                    return
        except OSError:  # the caller is gone
            is_kept = False
        finally:
            self.method_queue.defer(self.finish_request, conn, is_kept)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Called by `handle`, which then throws away what is left of the request's body, and may wait for it."""
        is_kept = super().handle_request(req, conn)
        if isinstance(conn.sock, CallerSocket):
            conn.sock.flush()
        return is_kept

    def _goes_on(self, conn: Any) -> bool:
        """Whether the caller's next request comes at once, and nobody else needs the thread meanwhile.

        Who asks again and again is spared the way through the loop and back, some 4 % of a small request's CPU.
        """
        if not self.tpool.has_plenty or not isinstance(conn.sock, CallerSocket):
            return False
        if not conn.parser.unreader.buf.getvalue():
            conn.sock.await_head(AT_ONCE_SECONDS)
            if not conn.sock.has_head:
                return False
        conn.sock.begin()
        return True

    def _read_head(self, conn: Any) -> None:
        """Take what has come, and wait for the rest of a head."""
        try:
            conn.sock.read_ahead()
        except BlockingIOError:
            pass
        except OSError:
            self._close(conn)
            return
        if conn.sock.has_head:
            self._forget(conn)
            self.enqueue_req(conn)
        elif conn not in (self._begun if conn.sock.has_begun else self._silent):
            self._forget(conn)
            self._wait_for(conn)

    def _wait_for(self, conn: Any) -> None:
        """Have the loop wait for more of a head."""
        has_begun = not self.cfg.is_ssl and conn.sock.has_begun
        seconds = self.patience if has_begun else self.cfg.keepalive
        if not self.alive:
            seconds = min(seconds, LINGER_SECONDS)
        conn.sock.setblocking(False)
        (self._begun if has_begun else self._silent)[conn] = time.monotonic() + seconds
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_head, conn))

    def _on_head(self, conn: Any, _: Any) -> None:
        if self.cfg.is_ssl:  # it begins with a handshake, which is the thread's
            self._forget(conn)
            self.enqueue_req(conn)
        else:
            self._read_head(conn)

    # -- the end of connections ----------------------------------------------------------------------------------

    def finish_request(self, conn: Any, is_kept: bool) -> None:
        """Called when a thread has done with a connection."""
        self.tpool.take_back()
        if is_kept:
            try:
                self._go_on(conn)
            except Exception:  # a bug, which must not end the worker
                log.exception("A connection was closed.")
                self._close(conn)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it is closed already
            self._close(conn)
            return
        conn.still_takes = FAREWELL_BYTES
        self._leaving[conn] = time.monotonic() + FAREWELL_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_farewell, conn))
        self._on_farewell(conn, conn.sock)

    def _go_on(self, conn: Any) -> None:
        """Take the next request of a connection, of which some may have come with the last one."""
        if conn.parser.unreader.buf.getvalue():
            self.enqueue_req(conn)
            return
        if isinstance(conn.sock, CallerSocket) and conn.sock.has_begun:
            self._read_head(conn)
            return
        conn.sock.setblocking(False)
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + LINGER_SECONDS)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))

    def _on_farewell(self, conn: Any, _: Any) -> None:
        try:
            came = len(socket.socket.recv(conn.sock, FAREWELL_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        except OSError:
            came = 0
        conn.still_takes -= came
        if not came or conn.still_takes < 0:
            self._close(conn)

    def murder_pending(self) -> None:
        """Close the connections whose time is up. The loop calls it every second, and at each event."""
        now = time.monotonic()
        for waiting in (self._silent, self._begun, self._leaving):
            while waiting:
                conn = next(iter(waiting))
                if waiting[conn] > now:
                    break
                self._close(conn)

    def _forget(self, conn: Any) -> None:
        """Have the loop wait for nothing from a connection."""
        for waiting in (self._silent, self._begun, self._leaving):
            if waiting.pop(conn, None) is not None:
                self.poller.unregister(conn.sock)

    def _close(self, conn: Any) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()
