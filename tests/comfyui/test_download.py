"""Files that don't come as they should: too slowly, not at all, or not to their end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.calls import ComfyUISilent
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, TimedOut
from tests.waiting import SECONDS

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Send = Callable[[socket.socket, threading.Event], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Send], str]]:
    """Has a server answer its first request as it is told, and then hang up; gives its address."""
    over = threading.Event()
    with contextlib.ExitStack() as stack:

        def start(send: Send) -> str:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer() -> None:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    send(connection, over)

            thread = threading.Thread(target=answer)
            thread.start()
            stack.callback(thread.join)
            return f"http://127.0.0.1:{listening.getsockname()[1]}"

        yield start
        over.set()


def drip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD)
    while not over.wait(0.01):
        connection.sendall(b"x")


def stall(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"x")
    over.wait()


def break_off(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"x" * 1000)


def break_off_in_chunks(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(CHUNKED + b"3\r\nabc\r\n")


def send_chunks(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")


def test_the_bytes_come_as_they_come_and_the_size_before(serve: Callable[[Send], str]) -> None:
    with contextlib.closing(client(serve(stall)).view("a", "", "output")) as download:
        assert download.size == 1_000_000
        assert next(iter(download)) == b"x"


@pytest.mark.parametrize("send", [drip, stall])
def test_no_file_outlasts_the_deadline(serve: Callable[[Send], str], send: Send) -> None:
    began = time.monotonic()
    deadline = Deadline(600)
    download = client(serve(send)).view("a", "", "output", deadline)
    deadline.extend(-599.6)  # spent on other files
    with pytest.raises(TimedOut):
        list(download)
    assert time.monotonic() - began < SECONDS


def test_a_silent_comfyui_is_silent_before_the_deadline_too(serve: Callable[[Send], str]) -> None:
    download = client(serve(stall), read_timeout=0.2).view("a", "", "output", Deadline(60))
    with pytest.raises(ComfyUISilent):
        list(download)


def test_a_file_of_unknown_length_comes_whole(serve: Callable[[Send], str]) -> None:
    download = client(serve(send_chunks)).view("a", "", "output", Deadline(60))
    assert download.size is None
    assert b"".join(download) == b"abcd"


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_file_that_is_longer_than_announced_is_an_error(serve: Callable[[Send], str], size: int) -> None:
    """What was announced of it is a file that was cut off, and would be taken for whole."""

    def send(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size - 20) + b"x" * size)
        over.wait()

    download = client(serve(send)).view("a", "", "output", Deadline(60))
    with pytest.raises(ComfyUIError, match="answers with more bytes than it announces to GET /view"):
        list(download)


@pytest.mark.parametrize("send", [break_off, break_off_in_chunks])
def test_a_file_that_breaks_off_is_an_error(serve: Callable[[Send], str], send: Send) -> None:
    download = client(serve(send)).view("a", "", "output", Deadline(60))
    with pytest.raises(ComfyUIError, match="cut off in the middle"):
        list(download)


def client(url: str, read_timeout: float = 30) -> ComfyUIClient:
    return ComfyUIClient(ServerAddress.parse(url), read_timeout=read_timeout)
