"""A web site from which files are fetched, and the errors of a fetcher."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from comfybridge.errors import BridgeError, InvalidRequest
from comfybridge.files.fetch import Allowance, Fetcher

CERTIFICATES = Path(__file__).parents[1] / "certificates"
MOST = 1000
HERE = ["127.0.0.1"]

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A web server in a thread, whose pages are functions.

    Attributes:
        pages: by path, without the query.
        asked: the requests that came in.
        gone: set at the end, so that pages that wait don't outlive the test.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[BaseHTTPRequestHandler] = []
        self.gone = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self)
                site.pages[self.path.partition("?")[0]](self)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *args: object) -> None:
                """Nothing: clients that hang up are what is tested."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.gone.set()
        self.server.shutdown()
        self.server.server_close()


def page(data: bytes, media_type: str | None = "image/png", status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if media_type is not None:
            handler.send_header("Content-Type", media_type)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return page(b"", None, status, Location=location)


def fetcher(*, seconds: float = 5, allowed: list[str] | None = None) -> Fetcher:
    return Fetcher(seconds=seconds, allowed_hosts=HERE if allowed is None else allowed)


def refusal(url: str, by: Fetcher | None = None, kind: type[BridgeError] = InvalidRequest) -> str:
    with pytest.raises(kind) as raised:
        (by or fetcher()).fetch(url, Allowance(MOST))
    assert type(raised.value) is kind
    assert raised.value.message.endswith(".")
    return raised.value.message


def named(monkeypatch: pytest.MonkeyPatch, **answers: list[str]) -> list[str]:
    """Have the name server know these hosts (`_` for a dot), with an answer for each lookup."""
    asked: list[str] = []

    def look_up(host: str, port: int, *args: object, **kwargs: object) -> list[object]:
        given = answers.get(host.replace(".", "_"))
        if given is None:
            ipaddress.ip_address(host)  # addresses are looked up too, when a connection is made
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        asked.append(host)
        found = given[min(len(asked), len(given)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found.split()]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def refusal_of_redirect(site: Site, by: Fetcher) -> str:
    """The error for the site's redirect, with the site itself allowed."""
    known = socket.getaddrinfo

    def look_up(host: str, port: int, *args: object, **more: object) -> object:
        return known("127.0.0.1" if host == "here.example" else host, port, *args, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        return refusal(f"http://here.example:{site.port}/", by)
