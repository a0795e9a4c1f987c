"""What the transport sends: bodies, headers and paths."""

from __future__ import annotations

import io

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.failures import NotConnected
from comfybridge.errors import ComfyUIUnreachable, TooLarge
from tests.comfyui.asking import LARGE, TIMEOUT, Connect, ask
from tests.comfyui.exchange import (
    Behaviour,
    Call,
    Exchange,
    early,
    message,
)

REFUSED = message(b"too large", status=413)


def answer_and_then_read(call: Call) -> None:
    call.send(REFUSED)
    call.take_body()
    call.hang_up()


@pytest.mark.parametrize(
    ("is_https", "behaviour"), [(False, early(REFUSED)), (False, answer_and_then_read), (True, answer_and_then_read)]
)
def test_a_large_file_that_is_refused_early_is_told_as_too_large(
    environment: pytest.MonkeyPatch, is_https: bool, behaviour: Behaviour
) -> None:
    with Exchange(is_https=is_https) as comfyui:
        comfyui.get("/features", json_body={})  # the upload limit, which older versions do not report
        comfyui.on("POST", "/upload/image", behaviour)
        client = ComfyUIClient(ServerAddress.parse(comfyui.url))
        with pytest.raises(TooLarge, match=f"an input file of {LARGE} bytes"):
            client.upload("a.png", bytes(LARGE), "x")
        client.close()
    assert [request.method for request in comfyui.requests] == ["GET", "POST"]


def test_a_large_file_that_nobody_wants_and_nobody_refuses_is_a_lost_connection(comfyui: Exchange) -> None:
    comfyui.get("/features", json_body={})
    comfyui.on("POST", "/upload/image", early(b""))
    client = ComfyUIClient(ServerAddress.parse(comfyui.url))
    with pytest.raises(ComfyUIUnreachable, match="closed the connection without an answer"):
        client.upload("a.png", bytes(LARGE), "x")
    client.close()


def test_a_file_is_sent_as_it_is(comfyui: Exchange, connect: Connect) -> None:
    comfyui.post("/a", "got it")
    data = bytes(range(256)) * 1000
    with connect().send("POST", "/a", TIMEOUT, file=(io.BytesIO(data), len(data))) as answer:
        assert answer.read(LARGE) == b"got it"
    assert comfyui.requests[0].body == data
    assert comfyui.requests[0].headers["Transfer-Encoding"] is None


def test_what_is_given_replaces_the_headers_of_our_own(comfyui: Exchange, connect: Connect) -> None:
    comfyui.get("/a")
    ask(connect(ServerAddress.parse(comfyui.url, {"user-agent": "me", "accept": "text/html"})))
    (sent,) = comfyui.requests
    assert (sent.headers.get_all("User-Agent"), sent.headers.get_all("Accept")) == (["me"], ["text/html"])


def test_a_prefix_with_spaces_and_other_letters_is_escaped(comfyui: Exchange, connect: Connect) -> None:
    comfyui.get("/my%20gpu/%C3%BC/already%20so/a", "here")
    assert ask(connect(f"{comfyui.url}/my gpu/ü/already%20so")) == b"here"


EVIL = "x HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n\0"


def test_nothing_can_be_smuggled_into_a_request(comfyui: Exchange) -> None:
    client = ComfyUIClient(ServerAddress.parse(comfyui.url))
    escaped = (
        "x%20HTTP%2F1.1%0D%0AX-Evil%3A%201%0D%0A%0D%0AGET%20%2Fevil%20HTTP%2F1.1%0D%0AHost%3A%20x%0D%0A%0D%0A%00"
    )
    for path in ("history", "object_info", "models"):
        comfyui.get(f"/{path}/{escaped}", json_body={} if path != "models" else [])
    comfyui.get("/view", "x")
    comfyui.post("/upload/image", json_body={"name": "a.png"})
    client.history(EVIL)
    client.object_info(EVIL)
    client.models(EVIL)
    list(client.view(EVIL, EVIL, EVIL))
    client.upload(EVIL, b"data", EVIL)
    client.close()
    assert len(comfyui.requests) == 5
    assert not any("X-Evil" in request.headers for request in comfyui.requests)
    assert comfyui.requests[3].query == {"filename": EVIL, "subfolder": EVIL, "type": EVIL}
    head, _, rest = comfyui.requests[4].body.partition(b"\r\n\r\n")
    assert b"\r\nX-Evil" not in head
    assert rest.startswith(b"data\r\n")


@pytest.mark.parametrize("path", ["/a\r\nX-Evil: 1", "/a b", "/ü", "/a\0"])
def test_a_path_that_is_not_escaped_is_not_sent(comfyui: Exchange, connect: Connect, path: str) -> None:
    with pytest.raises(NotConnected):
        ask(connect(), path)
    with pytest.raises(NotConnected):
        connect().send("GET", "/a", TIMEOUT, headers={"X-A": "b\r\nX-Evil: 1"})
    assert not comfyui.requests
