"""Fetching files from URLs: what is allowed, what isn't, and what is never told."""

from __future__ import annotations

import gzip
import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, InvalidRequest, TimedOut, TooLarge
from comfybridge.files.fetch import Allowance, Fetcher
from comfybridge.files.public_addresses import is_public
from tests.waiting import SECONDS

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


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.stop()


def fetcher(*, seconds: float = 5, allowed: list[str] | None = None) -> Fetcher:
    return Fetcher(seconds=seconds, allowed_hosts=HERE if allowed is None else allowed)


def refusal(url: str, by: Fetcher | None = None, kind: type[BridgeError] = InvalidRequest) -> str:
    with pytest.raises(kind) as raised:
        (by or fetcher()).fetch(url, Allowance(MOST))
    assert type(raised.value) is kind
    assert raised.value.message.endswith(".")
    return raised.value.message


def named(monkeypatch: pytest.MonkeyPatch, **answers: list[str]) -> list[str]:
    """Have the name server know these hosts, `_` for a dot, with an answer for each time that it is asked."""
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


# -- addresses


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "192.0.1.1", "100.128.0.1", "172.32.0.1", "169.253.1.1", "223.255.255.255"),
        *("2606:4700:4700::1111", "2001:200::1", "2003::1", "3ffe::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_host_in_a_network_of_special_purpose_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle's cloud tells secrets under 192.0.0.192, which Python 3.11.7 calls global."""
    connected: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda address, **_: connected.append(address))
    named(monkeypatch, metadata_example=["192.0.0.192"])
    assert "metadata.example is not a public host" in refusal("http://metadata.example/", fetcher(allowed=[]))
    assert connected == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "192.0.0.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("168.63.129.16", "192.88.99.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:808:808::", "2001::1"),
        # what ipaddress calls global in some of Python's patch versions or in all of them
        *("192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170", "192.0.0.192", "3fff::1", "3fff:fff::1", "5f00::1"),
        *("192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1", "2001:1::1", "2001:3::1", "2001:20::1"),
        *("2001:4:112::1", "2001:30::1", "::ffff:192.0.0.192", "64:ff9b::192.0.0.192", "100:0:0:1::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001:db8::1", "100::1", "fd00:ec2::254"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0"],
)
def test_every_spelling_of_this_machine_is_refused(site: Site, host: str) -> None:
    site.pages["/"] = page(b"secret")
    said = refusal(f"http://{host}:{site.port}/", fetcher(allowed=[]))
    assert "not a public host" in said or "no address is known" in said
    assert "COMFYBRIDGE_FETCH_ALLOW_HOSTS" in said or "no address is known" in said
    assert site.asked == []


@pytest.mark.parametrize("allowed", [["127.0.0.1"], ["127.0.0.0/8"], ["localhost"], ["LOCALHOST"]])
def test_a_host_can_be_allowed(site: Site, allowed: list[str]) -> None:
    site.pages["/a"] = page(b"data")
    host = "localhost" if allowed[0].lower() == "localhost" else "127.0.0.1"
    assert fetcher(allowed=allowed).fetch(f"http://{host}:{site.port}/a", Allowance(MOST)) == b"data"


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, two_example=["8.8.8.8 127.0.0.1"])
    assert "two.example is not a public host" in refusal(f"http://two.example:{site.port}/", fetcher(allowed=[]))


def test_a_second_answer_of_the_name_server_has_no_effect(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = named(monkeypatch, rebind_example=["8.8.8.8", "127.0.0.1"])
    connected: list[str] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    assert "can't be reached" in refusal(f"http://rebind.example:{site.port}/", fetcher(allowed=[]))
    assert connected == ["8.8.8.8"]
    assert asked == ["rebind.example"]


def test_the_next_address_is_tried_where_one_refuses(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/"] = page(b"data")
    named(monkeypatch, two_example=["127.0.0.2 127.0.0.1"])
    url = f"http://two.example:{site.port}"
    assert fetcher(allowed=["127.0.0.0/8"]).fetch(url, Allowance(MOST)) == b"data"
    assert site.asked[0].headers["Host"] == f"two.example:{site.port}"


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert refusal("http://nowhere.example/a?b=c") == "nowhere.example can't be found: no address is known for it."


def test_this_machine_under_a_public_address_of_its_own_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server behind a firewall that lets nobody in from outside lets this machine in."""
    site.pages["/"] = page(b"secret")
    named(monkeypatch, own_example=["8.8.8.8"])
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda address, **more: connect(("127.0.0.1", site.port), **more)
    )
    assert "own.example is not a public host" in refusal(f"http://own.example:{site.port}/", fetcher(allowed=[]))
    assert site.asked == []


def test_each_redirect_is_looked_up_and_checked_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one to the very host that was fine a moment ago."""
    site.pages["/"] = redirect(f"http://rebind.example:{site.port}/inner")
    site.pages["/inner"] = page(b"secret")
    asked = named(monkeypatch, rebind_example=["127.0.0.1", "10.0.0.1"])
    by = fetcher(allowed=["127.0.0.1"])
    assert "rebind.example is not a public host" in refusal(f"http://rebind.example:{site.port}/", by)
    assert asked == ["rebind.example"] * 2
    assert [each.path for each in site.asked] == ["/"]


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.1",
            "2130706433",
            "0x7f.1",
            "0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
        ),
        *(
            "\uff11\uff12\uff17.0.0.1",
            "127\u30020\u30020\u30021",
            "\u2460\u2461\u2466.0.0.1",
            "localhost",
            "LOCALHOST.",
        ),
        *("me:pw@127.0.0.1", "8.8.8.8@127.0.0.1", "8.8.8.8%2f@127.0.0.1", "127.0.0.1.", "169.254.169.254"),
    ],
)
def test_no_spelling_leads_a_redirect_to_this_machine(site: Site, host: str) -> None:
    site.pages["/"] = redirect(f"//{host}:{site.port}/inner")
    site.pages["/inner"] = page(b"secret")
    by = Fetcher(seconds=5, allowed_hosts=["here.example"])
    said = refusal_of_redirect(site, by)
    assert "secret" not in said
    assert "pw" not in said
    assert [each.path for each in site.asked] == ["/"]


def refusal_of_redirect(site: Site, by: Fetcher) -> str:
    """What is said of the site's redirect, where the site itself may be asked."""
    known = socket.getaddrinfo

    def look_up(host: str, port: int, *args: object, **more: object) -> object:
        return known("127.0.0.1" if host == "here.example" else host, port, *args, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        return refusal(f"http://here.example:{site.port}/", by)


def test_slow_name_servers_take_no_more_than_so_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answered.wait(10) and [])
    monkeypatch.setattr("comfybridge.files.fetch._lookups", threading.BoundedSemaphore(2))
    before = threading.active_count()
    for _ in range(4):
        assert "did not send the file within 0.05 s" in refusal("http://slow.example/", fetcher(seconds=0.05))
    assert threading.active_count() <= before + 2
    answered.set()


# -- URLs


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://me:secret@host/a", "http and https only"),
        ("gopher://host:70/secret", "http and https only"),
        ("http://", "host or port is invalid"),
        ("http:///secret", "host or port is invalid"),
        ("http://me:secret@host:99999/", "host or port is invalid"),
        ("http://host:port/secret", "host or port is invalid"),
        ("http://[::1/secret", "host or port is invalid"),
        ("http://a..b/secret", "host or port is invalid"),
        ("http://ho st/secret", "a space"),
        ("http://host/\r\nSecret: secret", "a space"),
        ("http://8.8.8.8\\@127.0.0.1/secret", "a backslash"),
        ("http://a%00b/secret", "host or port is invalid"),
        ("http://" + "a" * 300 + "/secret", "host or port is invalid"),
        ("http://" + "a." * 150 + "/secret", "host or port is invalid"),
        ("http://host/secret" + "x" * 9000, "more than 8000 characters"),
        ("http://me:\ud800secret@8.8.8.8/", "half of a character"),
    ],
)
def test_urls_that_cannot_be_used(url: str, said: str) -> None:
    message = refusal(url)
    assert said in message
    assert "secret" not in message.lower()


def test_credentials_and_query_are_sent_and_never_told(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    site.pages["/a%20b"] = page(b"data")
    site.pages["/away"] = redirect("/no")
    site.pages["/no"] = page(b"", status=404)
    place = f"me:se%40cret@127.0.0.1:{site.port}"
    assert fetcher().fetch(f"http://{place}/a%20b?token=hidden#x", Allowance(MOST)) == b"data"
    (asked,) = site.asked
    assert asked.headers["Authorization"] == "Basic bWU6c2VAY3JldA=="
    assert asked.path == "/a%20b?token=hidden"
    assert refusal(f"http://{place}/away?token=hidden") == "127.0.0.1 answered 404 instead of the file."
    assert site.asked[-1].headers["Authorization"] is None
    assert not any(word in caplog.text for word in ("cret", "hidden", "bWU6"))


def test_other_letters_are_escaped(site: Site) -> None:
    site.pages["/k%C3%A4tze.png"] = page(b"data")
    assert fetcher().fetch(f"{site.url}/kätze.png?q=ü", Allowance(MOST)) == b"data"
    assert site.asked[0].path == "/k%C3%A4tze.png?q=%C3%BC"


def test_proxies_of_the_environment_are_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    site.pages["/"] = page(b"data")
    assert fetcher().fetch(site.url, Allowance(MOST)) == b"data"


# -- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site: Site, status: int) -> None:
    site.pages["/a/b"] = redirect("../c?d=1", status)
    site.pages["/c"] = page(b"data")
    assert fetcher().fetch(f"{site.url}/a/b", Allowance(MOST)) == b"data"


def test_a_redirect_to_an_address_that_is_not_public_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/"] = redirect(f"http://127.0.0.1:{site.port}/inner?token=hidden")
    site.pages["/inner"] = page(b"secret")
    by = fetcher(allowed=["localhost"])
    message = refusal(f"http://localhost:{site.port}/", by)
    assert message.startswith("127.0.0.1 is not a public host")
    assert "hidden" not in message
    assert [each.path for each in site.asked] == ["/"]


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("file:///etc/passwd", "http and https only"),
        ("ftp://127.0.0.1/", "http and https only"),
        ("http://[", "not a URL"),
        ("", "a redirect without a target"),
    ],
)
def test_a_redirect_to_what_is_no_web_address(site: Site, location: str, said: str) -> None:
    site.pages["/"] = redirect(location)
    assert said in refusal(site.url)


def test_five_redirects_are_followed_and_no_more(site: Site) -> None:
    for number in range(6):
        site.pages[f"/{number}"] = redirect(f"/{number + 1}")
    site.pages["/6"] = page(b"data")
    assert fetcher().fetch(f"{site.url}/1", Allowance(MOST)) == b"data"
    assert "more than 5 times" in refusal(f"{site.url}/0")
    assert site.asked[-1].path == "/5"


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
