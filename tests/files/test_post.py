"""Posting to a URL that a caller gave: what is an answer, and where nothing is sent."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from comfybridge.deadline import Deadline
from comfybridge.files.outside import Outside
from comfybridge.files.post import NotPosted, Reply, post
from tests.files.site import CERTIFICATES, named
from tests.receiver import Receiver
from tests.waiting import SECONDS, until_true

LOOPBACK = Outside(["127.0.0.1"], "tests are sent only to those")
NOBODY = Outside([], "webhooks are sent only to those")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def posted(url: str, body: bytes = b"{}", by: Outside = LOOPBACK, seconds: float = SECONDS, **headers: str) -> Reply:
    return post(by, url, body, headers, Deadline(seconds))


def refusal(url: str, by: Outside = LOOPBACK, seconds: float = SECONDS, body: bytes = b"{}") -> str:
    with pytest.raises(NotPosted) as raised:
        posted(url, body, by, seconds)
    assert str(raised.value).endswith(".")
    return str(raised.value)


def test_body_and_headers_arrive(receiver: Receiver) -> None:
    reply = posted(f"{receiver.url}?a=1", b'{"x":1}', name="value")
    [received] = receiver.came
    assert (reply.status, received.body, received.path) == (200, b'{"x":1}', "/hook?a=1")
    assert received.headers["name"] == "value"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"


def test_a_large_body_arrives(receiver: Receiver) -> None:
    posted(receiver.url, b"x" * 5_000_000)
    assert len(receiver.came[0].body) == 5_000_000


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [307], {"Location": f"{receiver.url}/elsewhere"}
    assert posted(receiver.url).status == 307
    assert len(receiver.came) == 1


def test_certificates_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
    named(monkeypatch, localhost=["127.0.0.1"])
    with Receiver(context=context) as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        assert refusal(url) == "localhost has no trusted certificate."
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / "localhost.pem"))
        trusting = Outside(["127.0.0.1"], "tests are sent only to those")
        assert posted(url, by=trusting).status == 200
        assert len(receiver.came) == 1


def test_headers_of_the_answer_are_known(receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [503], {"Retry-After": "7"}
    reply = posted(receiver.url)
    assert (reply.status, reply.headers["retry-after"]) == (503, "7")


def test_private_hosts_are_not_contacted(receiver: Receiver) -> None:
    said = refusal(receiver.url, NOBODY)
    assert said.startswith("127.0.0.1 is not a public host, and webhooks are sent only to those")
    assert receiver.came == []


@pytest.mark.parametrize("answer", ["127.0.0.1", "8.8.8.8 127.0.0.1", "::1", "::ffff:10.0.0.1", "fd00::1"])
def test_a_name_that_leads_to_a_private_host_is_not_contacted(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    named(monkeypatch, rebound_example=[answer])
    assert "is not a public host" in refusal(f"http://rebound.example:{receiver.port}/", NOBODY)
    assert receiver.came == []


def test_a_host_without_a_server() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        assert refusal(url) == "127.0.0.1 can't be reached, or does not speak HTTP."


def test_a_host_that_is_silent(receiver: Receiver) -> None:
    receiver.before_answer = lambda _: receiver.gone.wait(SECONDS)  # type: ignore[assignment,return-value]
    assert refusal(receiver.url, seconds=0.2) == "127.0.0.1 did not answer in time."


def test_a_host_that_reads_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert refusal(url, seconds=0.3, body=b"x" * 50_000_000) == "127.0.0.1 did not answer in time."


def test_an_answer_without_end_is_not_read(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
                receiver.gone.wait(SECONDS)

        threading.Thread(target=answer, daemon=True).start()
        assert posted(f"http://127.0.0.1:{server.getsockname()[1]}/").status == 200
        receiver.gone.set()


def test_an_answer_before_the_body_was_read(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1_000_000):
                    pass

        threading.Thread(target=answer, daemon=True).start()
        assert posted(f"http://127.0.0.1:{server.getsockname()[1]}/", b"x" * 20_000_000).status == 410


def test_a_post_can_be_cut(receiver: Receiver) -> None:
    receiver.before_answer = lambda _: receiver.gone.wait(SECONDS)  # type: ignore[assignment,return-value]
    limit = Deadline(SECONDS)
    said: list[NotPosted] = []

    def run() -> None:
        try:
            post(LOOPBACK, receiver.url, b"{}", {}, limit)
        except NotPosted as error:
            said.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until_true(lambda: receiver.came)
    limit.cut()
    thread.join(SECONDS)
    assert len(said) == 1


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "http://a b/", "http://127.0.0.1:99999/", "x"])
def test_what_is_no_url(url: str) -> None:
    refusal(url)
