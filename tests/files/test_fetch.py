"""Fetching files from URLs: which answers are files, how large, and how long it may take."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut, TooLarge
from comfybridge.files.fetch import Allowance
from tests.files.site import (
    CERTIFICATES,
    MOST,
    Site,
    fetcher,
    named,
    page,
    refusal,
)
from tests.waiting import SECONDS

# -- what comes back


@pytest.mark.parametrize(
    "media_type",
    [
        "image/png",
        "IMAGE/WEBP; charset=x",
        "video/mp4",
        "audio/wav",
        "application/octet-stream",
        "binary/octet-stream",
        None,
    ],
)
def test_types_that_are_files(site: Site, media_type: str | None) -> None:
    site.pages["/"] = page(b"data", media_type)
    assert fetcher().fetch(site.url, Allowance(MOST)) == b"data"


@pytest.mark.parametrize(
    ("media_type", "said"),
    [
        ("text/html; charset=utf-8", "answered with a web page (text/html), not with a file"),
        ("text/plain", "'text/plain'"),
        ("application/json", "'application/json'"),
        ("", "''"),
    ],
)
def test_types_that_are_no_files(site: Site, media_type: str, said: str) -> None:
    site.pages["/"] = page(b"data", media_type)
    assert said in refusal(site.url)


def test_a_file_may_be_just_as_large_as_allowed(site: Site) -> None:
    site.pages["/"] = page(b"x" * MOST, Content_Length=str(MOST))
    assert len(fetcher().fetch(site.url, Allowance(MOST))) == MOST


def test_too_large_a_file_is_not_even_begun(site: Site) -> None:
    site.pages["/"] = page(b"", Content_Length=str(MOST + 1))
    assert "more than 1000 bytes" in refusal(site.url, kind=TooLarge)


def test_too_large_a_file_of_unknown_size_is_dropped_on_the_way(site: Site) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        page(b"")(handler)
        while not site.gone.is_set():
            handler.wfile.write(b"x" * 65536)

    site.pages["/"] = endless
    assert "more than 1000 bytes" in refusal(site.url, kind=TooLarge)


def test_nothing_is_unpacked(site: Site) -> None:
    site.pages["/"] = page(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")
    assert "compressed, although it was asked not to" in refusal(site.url)
    assert site.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("headers", [{"Content_Length": "10"}, {"Transfer_Encoding": "chunked"}])
def test_a_file_that_is_cut_off(site: Site, headers: dict[str, str]) -> None:
    body = b"4\r\ndata\r\n" if "Transfer_Encoding" in headers else b"data"

    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        page(body, **headers)(handler)

    site.pages["/"] = cut
    assert refusal(site.url) == "127.0.0.1 cut the file off in the middle."


def test_a_server_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 hello\r\n")
                connection.recv(1000)

        threading.Thread(target=speak, daemon=True).start()
        assert "does not speak HTTP" in refusal(f"http://127.0.0.1:{server.getsockname()[1]}/")


# -- time


@pytest.mark.parametrize("place", ["before the headers", "within the headers", "within the body"])
def test_the_time_limit_holds_however_the_server_dawdles(site: Site, place: str) -> None:
    def dawdle(handler: BaseHTTPRequestHandler) -> None:
        if place == "within the body":
            page(b"")(handler)
        elif place == "within the headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not site.gone.wait(0.05):
            if place != "before the headers":
                handler.wfile.write(b"x")

    site.pages["/"] = dawdle
    assert "did not send the file within 0.3 s" in refusal(site.url, fetcher(seconds=0.3))


def test_the_requests_own_deadline_is_a_timeout(site: Site) -> None:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        site.gone.wait(10)

    site.pages["/"] = silent
    with pytest.raises(TimedOut):
        fetcher().fetch(site.url, Allowance(MOST), Deadline(0.2))
    with pytest.raises(TimedOut):
        fetcher().fetch(site.url, Allowance(MOST), Deadline(0))


def test_a_slow_name_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, answered = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        answers.wait(SECONDS)
        answered.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert "did not send the file within 0.2 s" in refusal("http://slow.example/", fetcher(seconds=0.2))
    assert not answered.is_set()
    answers.set()


# -- https


@pytest.fixture
def secure_site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
    site = Site(context)
    yield site
    site.stop()


def test_https_is_checked_for_the_name_in_the_url(secure_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    secure_site.pages["/"] = page(b"data")
    named(monkeypatch, localhost=["127.0.0.1"], other_example=["127.0.0.1"])
    url = f"https://localhost:{secure_site.port}/"
    assert "no trusted certificate" in refusal(url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / "localhost.pem"))
    assert fetcher().fetch(url, Allowance(MOST)) == b"data"
    assert "no trusted certificate" in refusal(f"https://other.example:{secure_site.port}/")
