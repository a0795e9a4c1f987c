"""Runs waitress's loop, closing connections of callers that neither send nor read, and losing no request on shutdown.

Waitress reads requests and sends answers in its loop, so slow callers hold no thread. By itself, however, it waits
for callers that do not read without limit, accepts no connection once it holds the most it may, and drops running
requests on shutdown.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Hashable
from types import FrameType
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer

from comfybridge.serving.caller_socket import LEAST_RATE
from comfybridge.serving.stopping import Stop

# Interval between two looks for callers that are too slow.
LOOK_SECONDS = 0.5
# On shutdown, idle connections are kept open this long, because a request may be on its way.
LINGER_SECONDS = 2.0
# With too many connections, this share of the idle ones is closed in one go, because finding them takes a while.
CLOSED_AT_ONCE = 0.05


class Loop:
    """Runs what `waitress.create_server` made.

    Args:
        sockets: waitress's map, with all its sockets.
        patience: seconds that a caller may make no progress; `caller_socket.py` says what counts as progress.
        most: how many sockets there may be.
        stop: bounds the wait for running requests on shutdown.
    """

    def __init__(self, sockets: dict[int, Any], *, use_poll: bool, patience: float, most: int, stop: Stop) -> None:
        self._sockets = sockets
        self._servers = [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]
        self._use_poll = use_poll
        self._patience = patience
        self._most = most
        self._stop = stop
        self._finishing = ""
        self._is_stopping = self._is_hurrying = False
        self._next_look = 0.0
        self._waited_for: dict[HTTPChannel, tuple[Hashable, float]] = {}

    def heed_signals(self, finishing: str) -> None:
        """Have SIGTERM and Ctrl-C end `run`. A second Ctrl-C ends the wait for running requests, a third the process.

        Args:
            finishing: what is printed at the first Ctrl-C, if requests run.
        """
        self._finishing = finishing
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heed)

    def run(self, seconds: float) -> None:
        """Serve until a signal arrives, then finish the running requests, for at most this many seconds."""
        while not self._is_stopping:
            self._turn(1.0)
        self._finish(time.monotonic() + seconds)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._is_hurrying:
            os._exit(1)
        if number == signal.SIGINT and self._is_stopping:
            self._is_hurrying = True
            self._stop.hurry()
        elif number == signal.SIGINT and self._stop.has_requests:
            print(self._finishing, flush=True)
        self._is_stopping = True
        for server in self._servers:
            server.pull_trigger()  # the loop may be waiting

    def _turn(self, seconds: float) -> None:
        """Wait for events for at most this many seconds, and handle them."""
        wasyncore.loop(timeout=seconds, map=self._sockets, use_poll=self._use_poll, count=1)
        for server in self._servers:
            self._take_the_waiting(server)
        if len(self._sockets) >= self._most:
            self._close_idlest()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._close_too_slow(now)

    def _channels(self) -> list[HTTPChannel]:
        return [each for each in self._sockets.values() if isinstance(each, HTTPChannel)]

    # -- slow callers -------------------------------------------------------------------------------------------

    def _close_idlest(self) -> None:
        """Close the connections that have been idle longest."""
        idle = sorted((each for each in self._channels() if _is_idle(each)), key=lambda each: each.last_activity)
        for channel in idle[: 1 + int(CLOSED_AT_ONCE * len(idle))]:
            channel.handle_close()

    def _close_too_slow(self, now: float) -> None:
        waited_for = {}
        for channel in self._channels():
            what = self._what_is_waited_for(channel)
            if what is None:
                continue
            known, since = self._waited_for.get(channel, (None, now))
            if known != what:
                since = now
            elif now - since > self._patience:
                channel.handle_close()
                continue
            waited_for[channel] = (what, since)
        self._waited_for = waited_for

    def _what_is_waited_for(self, channel: HTTPChannel) -> Hashable:
        """What the caller must do next, as a value that changes with its progress; None if nothing."""
        if channel.total_outbufs_len:
            # the system reports room for more only once a good part of what it holds has been sent
            return "read", channel.total_outbufs_len, _unacknowledged(channel.socket)
        request = channel.request
        if request is None:
            return None
        if not request.headers_finished:
            return "end its head", id(request)
        return "send more", id(request), request.body_bytes_received // max(1, int(LEAST_RATE * self._patience))

    # -- the end -------------------------------------------------------------------------------------------------

    def _finish(self, end: float) -> None:
        """Accept no more connections, and answer the requests on the others until `end` (`time.monotonic()`)."""
        for server in self._servers:
            self._take_the_waiting(server)
            wasyncore.dispatcher.close(server)  # its own `close` would close the loop's trigger too
        self._servers = []
        until = time.monotonic() + LINGER_SECONDS
        self._stop.begin()
        while (channels := self._channels()) and time.monotonic() < end:
            for channel in channels:
                for request in channel.requests:
                    request.headers["CONNECTION"] = "close"  # the answer says so, and ends the connection
                is_coming = channel.request is not None and channel.request.headers_finished
                if time.monotonic() > until and _is_idle(channel) and not is_coming:
                    channel.handle_close()
            self._turn(0.2)

    def _take_the_waiting(self, server: BaseWSGIServer) -> None:
        """Accept all connections in the backlog; by itself, waitress accepts one in each turn of the loop."""
        before = -1
        while before < len(self._sockets) < self._most:
            before = len(self._sockets)
            server.handle_accept()


def _unacknowledged(connection: socket.socket) -> int:
    """How many bytes the system has not yet delivered to the other end of a connection; 0 if unknown."""
    try:
        import fcntl
        import termios

        return int(struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0])
    except (ImportError, OSError):  # Windows, or a system that does not report it for sockets
        return 0


def _is_idle(channel: HTTPChannel) -> bool:
    """Whether no answer is due or being sent on a connection; part of a request may have arrived."""
    return not channel.requests and not channel.total_outbufs_len
