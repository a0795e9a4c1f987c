"""Waitress's loop, run from here: with an eye on callers who neither send nor read, and a stop that loses nobody.

Waitress reads requests and sends answers in its loop, so slow callers hold no thread; but its patience with those who
do not read has no end, it takes nobody any more once it holds as many connections as it may, and it drops what runs
when it is told to stop.
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

# So often it is looked who is too slow.
LOOK_SECONDS = 0.5
# At a stop, connections that ask for nothing are kept so long: a request may be on its way.
LINGER_SECONDS = 2.0
# Where there are too many connections, such a part of the idle ones is closed at once, as finding them takes a while.
CLOSED_AT_ONCE = 0.05


class Loop:
    """Runs what `waitress.create_server` made.

    Args:
        sockets: waitress's map, with all its sockets.
        patience: seconds; `callers.py` says with what.
        most: how many sockets there may be.
        stop: bounds the wait for running requests at a stop.
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
        """From now on, SIGTERM and Ctrl-C end `run`. A second Ctrl-C has it wait no longer, a third ends all.

        Args:
            finishing: what is printed at the first Ctrl-C, if requests run.
        """
        self._finishing = finishing
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heed)

    def run(self, seconds: float) -> None:
        """Serve until a signal says to stop, and then until all are answered, or so many seconds are over."""
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
        """Wait for events so long at most, and handle them."""
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

    # -- callers who are too slow --------------------------------------------------------------------------------

    def _close_idlest(self) -> None:
        """Close the connections that have asked for nothing for longest."""
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
        """What a caller is to do, which becomes something else with what it does; None: nothing."""
        if channel.total_outbufs_len:
            # the system tells of room for more only when a good part of what it holds is gone
            return "read", channel.total_outbufs_len, _unacknowledged(channel.socket)
        request = channel.request
        if request is None:
            return None
        if not request.headers_finished:
            return "end its head", id(request)
        return "send more", id(request), request.body_bytes_received // max(1, int(LEAST_RATE * self._patience))

    # -- the end -------------------------------------------------------------------------------------------------

    def _finish(self, end: float) -> None:
        """Take nobody any more, and answer those who are there, until that time on `time.monotonic()`'s clock."""
        for server in self._servers:
            self._take_the_waiting(server)
            wasyncore.dispatcher.close(server)  # its own `close` would close what threads wake the loop with, too
        self._servers = []
        until = time.monotonic() + LINGER_SECONDS
        self._stop.begin()
        while (channels := self._channels()) and time.monotonic() < end:
            for channel in channels:
                for request in channel.requests:
                    request.headers["CONNECTION"] = "close"  # so its answer says so, and the connection ends with it
                is_coming = channel.request is not None and channel.request.headers_finished
                if time.monotonic() > until and _is_idle(channel) and not is_coming:
                    channel.handle_close()
            self._turn(0.2)

    def _take_the_waiting(self, server: BaseWSGIServer) -> None:
        """Take the callers who have connected already: by itself, waitress takes one in each turn of the loop."""
        before = -1
        while before < len(self._sockets) < self._most:
            before = len(self._sockets)
            server.handle_accept()


def _unacknowledged(connection: socket.socket) -> int:
    """How many bytes the system still holds for the other end of a connection; 0 where that can't be told."""
    try:
        import fcntl
        import termios

        return int(struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0])
    except (ImportError, OSError):  # Windows; a system that does not tell it of sockets
        return 0


def _is_idle(channel: HTTPChannel) -> bool:
    """Whether a connection neither waits for an answer nor gets one; a part of a request may have come."""
    return not channel.requests and not channel.total_outbufs_len
