"""One websocket to ComfyUI, from its opening to its end. The only file that knows `websocket`."""

from __future__ import annotations

import contextlib
import socket
from typing import Any
from urllib.parse import urlencode

import websocket

from comfybridge.comfyui.calls import RETRY_AFTER, ComfyUISilent
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.events import FEATURE_FLAGS, Event, Unknown, parse_binary, parse_text
from comfybridge.comfyui.failures import NoConnectionInTime, NotConnected
from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut

READ_AHEAD = 64 * 1024

# Of a frame (RFC 6455): its first byte says what it is, its second how long, with two or eight more where that is not
# enough.
WHOLE_MESSAGE = (0x80 | websocket.ABNF.OPCODE_TEXT, 0x80 | websocket.ABNF.OPCODE_BINARY)
OF_MESSAGES = (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_CONT)
TWO_BYTES_OF_SIZE = 126
EIGHT_BYTES_OF_SIZE = 127
LONGEST_HEADER = 4
# Bytes of a message, which is held in memory as a whole: images that a SaveImageWebsocket sends.
LARGEST_MESSAGE = 128 * 1024 * 1024

# A peer that is gone without a word is noticed by the system after a minute, so that a read ends.
KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
SWITCHING_PROTOCOLS = 101


class SocketLost(Exception):
    """The websocket is closed; what ComfyUI sends from now on is not heard."""


class Connection:
    """An open websocket.

    Attributes:
        client_id: the id under which ComfyUI knows it. Never used twice: if a client comes back under its old id,
            ComfyUI drops the wrong socket, and the new one receives nothing.
    """

    def __init__(self, client_id: str, opened: websocket.WebSocket) -> None:
        self.client_id = client_id
        self._socket = opened
        self._seconds: float | None = None  # the socket's timeout
        self._is_in_frame = False
        self._opcode = websocket.ABNF.OPCODE_TEXT  # of a message in several frames,
        self._pieces: list[bytes] = []  # and what came of it
        # websocket-client reads a frame in three pieces, the first of two bytes
        self._ahead = _ReadAhead(opened.sock)
        opened.sock = self._ahead  # type: ignore[assignment]  # all that is used of it is there

    @property
    def has_read_ahead(self) -> bool:
        """Whether more has come than was taken."""
        return not self._ahead.is_empty

    def receive(self, seconds: float, unread: tuple[bytes, ...] = ()) -> Event | None:
        """The next event; None if nothing came within so many seconds.

        Args:
            unread: text frames that begin so are not taken apart; they come as `Unknown`.

        Raises:
            SocketLost: the socket is closed or broken.
        """
        try:
            if seconds != self._seconds:  # each time that it is set, the thread gives Python's lock away
                self._seconds = seconds
                self._socket.settimeout(max(seconds, 0.001))
            opcode, data = self._next_message()
        except (websocket.WebSocketTimeoutException, TimeoutError):
            return None
        except (websocket.WebSocketException, OSError, AttributeError) as error:  # the last: closed meanwhile
            raise SocketLost(str(error)) from None
        if opcode == websocket.ABNF.OPCODE_TEXT:
            return Unknown("unread") if unread and data.startswith(unread) else parse_text(data)
        if opcode == websocket.ABNF.OPCODE_BINARY:
            return parse_binary(data)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise SocketLost("closed by ComfyUI")
        return Unknown("ping or pong")

    def _next_message(self) -> tuple[int, bytes]:
        while True:
            if not self._is_in_frame:
                message = self._ahead.next_message()
                if message is not None:
                    return message
                self._ahead.begin_frame()
            self._is_in_frame = True  # until it is whole: a timeout leaves websocket-client in the midst of it
            opcode, frame = self._socket.recv_data_frame(control_frame=True)
            self._is_in_frame = False
            if opcode not in OF_MESSAGES:
                return opcode, frame.data
            if opcode != websocket.ABNF.OPCODE_CONT:
                self._opcode = opcode
            self._pieces.append(frame.data)
            _check_size(sum(map(len, self._pieces)))
            if frame.fin:
                data = b"".join(self._pieces)
                self._pieces.clear()
                return self._opcode, data

    def ping(self) -> None:
        """Ask for a sign of life.

        Raises:
            SocketLost: the socket is closed or broken.
        """
        try:
            self._socket.ping()
        except (websocket.WebSocketException, OSError) as error:
            raise SocketLost(str(error)) from None

    def close(self) -> None:
        """Close it; whoever reads it in another thread gets SocketLost. May be called twice."""
        with contextlib.suppress(OSError, websocket.WebSocketException, AttributeError):
            self._socket.send_close()
        with contextlib.suppress(OSError, AttributeError):
            self._socket.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # None: closed already
        self._socket.shutdown()  # type: ignore[no-untyped-call]


class _ReadAhead:
    """A socket whose small reads, and most frames, are served out of large reads."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped
        self._data = b""
        self._at = 0
        self._in_frame = 0

    @property
    def is_empty(self) -> bool:
        """Whether all that was read has been taken."""
        return self._at == len(self._data)

    def next_message(self) -> tuple[int, bytes] | None:
        """The opcode and the data of a message, if one like nearly all of ComfyUI's is there.

        That is: a text or binary frame that is a whole message, unmasked, shorter than 64 KB, and read to its end.
        All others are for websocket-client, which takes five times as long. To be asked between frames.
        """
        if self.is_empty:
            self._data, self._at = self._wrapped.recv(READ_AHEAD), 0
        data, at = self._data, self._at
        if len(data) - at < LONGEST_HEADER or data[at] not in WHOLE_MESSAGE:
            return None
        size, begin = data[at + 1], at + 2
        if size == TWO_BYTES_OF_SIZE:
            size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
        elif size > TWO_BYTES_OF_SIZE:  # or masked
            if size == EIGHT_BYTES_OF_SIZE:
                _check_size(int.from_bytes(data[begin : begin + 8], "big"))
            return None
        end = begin + size
        if end > len(data):
            return None
        self._at = end
        return data[at] & 0x0F, data[begin:end]

    def begin_frame(self) -> None:
        """Count the bytes of a frame from now on, which must not be more than `LARGEST_MESSAGE`."""
        self._in_frame = 0

    def recv(self, size: int) -> bytes:
        if self._at == len(self._data):
            self._data, self._at = self._wrapped.recv(max(size, READ_AHEAD)), 0
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        self._in_frame += len(piece)
        _check_size(self._in_frame)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


def _check_size(size: int) -> None:
    if size > LARGEST_MESSAGE:
        raise SocketLost(f"a message of more than {LARGEST_MESSAGE} bytes, more than the bridge accepts")


def connect(client: ComfyUIClient, client_id: str, deadline: Deadline) -> Connection:
    """Open a websocket and say what the bridge understands.

    Raises:
        SocketLost: somebody answered, and not as a websocket.
        ComfyUIUnreachable: nobody answered.
        TimedOut: the deadline passed meanwhile.
    """
    address = client.address
    url = f"{address.websocket_url}?{urlencode({'clientId': client_id})}"
    limit = Deadline(min(client.connect_timeout, deadline.remaining()))
    if limit.passed:
        raise TimedOut("The time was up before ComfyUI's websocket could be opened.")
    try:
        # the way that the HTTP calls take: websocket-client has rules of its own for proxies and certificates
        way = client.route.connect(limit.remaining(), tunnel=True)
        _keep_alive(way)
        way.settimeout(max(limit.remaining(), 0.001))
        opened = websocket.create_connection(
            url,
            timeout=max(limit.remaining(), 0.001),
            header=[f"{name}: {value}" for name, value in address.headers.items()],
            socket=way,
            redirect_limit=0,
            suppress_origin=True,
            skip_utf8_validation=True,
            fire_cont_frame=True,  # or it copies all that came of a message with every frame of it
            enable_multithread=True,
        )
        if opened.getstatus() != SWITCHING_PROTOCOLS:
            raise websocket.WebSocketException("a redirect")
        opened.send(FEATURE_FLAGS)
    except websocket.WebSocketBadStatusException as error:
        raise SocketLost(f"ComfyUI at {address.url} lets no websocket through (HTTP {error.status_code}).") from None
    except (websocket.WebSocketTimeoutException, TimeoutError, NoConnectionInTime) as error:
        if deadline.passed:
            raise TimedOut("The time was up while ComfyUI's websocket was being opened.") from None
        why = str(error) if isinstance(error, NoConnectionInTime) else "does not answer"
        raise ComfyUISilent(f"ComfyUI at {address.url} {why}.", retry_after=RETRY_AFTER) from None
    except (websocket.WebSocketException, OSError, NotConnected) as error:
        # ComfyUI is down, or a proxy cuts websockets off: the HTTP calls will show which.
        client.queue_length(deadline)
        if isinstance(error, NotConnected):
            raise SocketLost(f"The websocket of ComfyUI at {address.url} {error}.") from None
        raise SocketLost(f"ComfyUI at {address.url} cuts websockets off.") from None
    return Connection(client_id, opened)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):  # not everywhere
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
