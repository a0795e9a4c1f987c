"""A proxy on this machine, through which one server is reached under any name."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class ForwardProxy:
    """Forwards connections, as proxies do for `CONNECT` and for whole URLs.

    Args:
        url: the server to which everything is forwarded.
        refused: methods that it answers with 403, such as `CONNECT`.

    Attributes:
        heads: the heads of the first requests of its connections.
    """

    def __init__(self, url: str, *, refused: tuple[str, ...] = ()) -> None:
        self.heads: list[str] = []
        self._to = ("127.0.0.1", urlsplit(url).port)
        self._refused = refused
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def methods(self) -> set[str]:
        """The methods of the requests."""
        return {head.partition(" ")[0] for head in self.heads}

    def __enter__(self) -> ForwardProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[caller], daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (piece := caller.recv(65536)):
            head += piece
        self.heads.append(head.decode("latin-1"))
        method = head.partition(b" ")[0].decode()
        if method in self._refused:
            caller.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            caller.close()
            return
        server = socket.create_connection(self._to)
        if method == "CONNECT":
            caller.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            server.sendall(head)
        threading.Thread(target=_pass_on, args=[server, caller], daemon=True).start()
        _pass_on(caller, server)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
