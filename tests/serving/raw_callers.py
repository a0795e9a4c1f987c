"""Callers who speak HTTP by hand."""

from __future__ import annotations

import socket

from tests.serving.servers import SECONDS, Server


def connect(server: Server, sent: bytes = b"") -> socket.socket:
    """A caller's connection, over which that was sent."""
    connection = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), SECONDS)
    connection.sendall(sent)
    return connection


def read_answer(connection: socket.socket) -> bytes:
    """An answer that says how long it is."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(4096)
    head, _, body = said.partition(b"\r\n\r\n")
    (length,) = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < length:
        body += connection.recv(2**20)
    return head + body
