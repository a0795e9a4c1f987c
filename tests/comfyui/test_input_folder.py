"""Files that go to ComfyUI's input folder in pieces, and what is said of those that are there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.input_folder import LARGE_UPLOAD
from comfybridge.comfyui.transport import Answer, Transport
from comfybridge.errors import ComfyUIUnreachable, FileUnusable, TooLarge
from tests.comfyui.exchange import Exchange, and_close, message, raw

PIECE = b"0123456789abcdef" * 4096


@pytest.fixture
def client(comfyui: Exchange) -> Iterator[ComfyUIClient]:
    with contextlib.closing(ComfyUIClient(ServerAddress.parse(comfyui.url), read_timeout=5)) as made:
        yield made


class Reading(Transport):
    """Reads what it should send, and no more than that."""

    def send(self, *_: Any, file: Any = None, **__: Any) -> Answer:
        form, left = file
        while piece := form.read(1):
            left -= len(piece)
            assert left >= 0
        raise AssertionError


def test_pieces_arrive_as_one_file(comfyui: Exchange, client: ComfyUIClient) -> None:
    comfyui.post("/upload/image", json_body={"name": "a.bin", "subfolder": "x"})
    given = iter([PIECE, b"", PIECE * 3, b"end"])

    assert client.upload_stream("a.bin", given, 4 * len(PIECE) + 3, "x") == "x/a.bin"

    [request] = comfyui.requests
    assert PIECE * 4 + b"end" in request.body
    assert re.search(rb'name="subfolder"\r\n\r\nx\r\n', request.body)
    assert int(request.headers["Content-Length"]) == len(request.body)


@pytest.mark.parametrize("given", [[PIECE], [PIECE, PIECE, PIECE]])
def test_a_file_of_another_length_is_no_file(given: list[bytes]) -> None:
    address = ServerAddress.parse("http://127.0.0.1:1")
    client = ComfyUIClient(address, transport=Reading(address, 1))

    with pytest.raises(FileUnusable):
        client.upload_stream("a.bin", given, 2 * len(PIECE), "x")


def test_what_comfyui_would_refuse_is_not_sent(comfyui: Exchange, client: ComfyUIClient) -> None:
    comfyui.get("/features", json_body={"max_upload_size": LARGE_UPLOAD})

    def never() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(TooLarge):
        client.upload_stream("a.bin", never(), LARGE_UPLOAD + 1, "x")


def test_an_upload_is_not_begun_again_with_the_rest_of_its_bytes(comfyui: Exchange, client: ComfyUIClient) -> None:
    comfyui.get("/prompt", json_body={"exec_info": {"queue_remaining": 0}})
    client.queue_length()  # now a connection is kept, and the server closes it at the next request
    comfyui.on("POST", "/upload/image", and_close(raw(b"")))

    with pytest.raises(ComfyUIUnreachable):
        client.upload_stream("a.bin", iter([PIECE]), len(PIECE), "x")

    assert [request.method for request in comfyui.requests] == ["GET", "POST"]


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (message(b"0", status=206, headers={"Content-Range": "bytes 0-0/12345"}), 12345),
        (message(b"", status=416, headers={"Content-Range": "bytes */0"}), 0),
        (message(b"12345"), 5),
        (message(b"", status=404), None),
        (message(b"", status=400), None),
    ],
)
def test_the_size_of_an_input_is_told(
    comfyui: Exchange, client: ComfyUIClient, answer: bytes, size: int | None
) -> None:
    comfyui.on("GET", "/view", raw(answer))

    assert client.has_input("comfybridge/a b.png") == size

    assert comfyui.requests[0].query == {"filename": "a b.png", "subfolder": "comfybridge", "type": "input"}
