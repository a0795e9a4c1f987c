"""The hosts from which files are fetched: public ones, under whatever name or address, and those that are allowed."""

from __future__ import annotations

import ipaddress
import socket
import threading

import pytest

from comfybridge.files.fetch import Allowance, Fetcher
from comfybridge.files.public_addresses import is_public
from tests.files.site import (
    MOST,
    Site,
    fetcher,
    named,
    page,
    redirect,
    refusal,
    refusal_of_redirect,
)
from tests.waiting import until_true


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
        # networks that ipaddress considers global in some or all patch releases of Python
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


def test_slow_name_servers_take_no_more_than_so_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answered.wait(10) and [])
    monkeypatch.setattr("comfybridge.files.outside._lookups", threading.BoundedSemaphore(2))
    before = threading.active_count()
    for _ in range(4):
        assert "did not send the file within 0.05 s" in refusal("http://slow.example/", fetcher(seconds=0.05))
    assert threading.active_count() <= before + 2
    answered.set()
    until_true(lambda: threading.active_count() <= before)  # they release the patched semaphore, not the real one
