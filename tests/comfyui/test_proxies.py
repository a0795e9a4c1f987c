"""Where a call is sent: ports, proxies, tunnels."""

from __future__ import annotations

import base64
import re
import socket

import pytest

from comfybridge.comfyui.failures import NotConnected
from tests.comfyui.asking import GPU, Connect, ask, elsewhere
from tests.comfyui.exchange import (
    Behaviour,
    Exchange,
    hang_up,
    reply,
    tunnel,
)


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fd00::1"])
def test_a_port_that_is_not_given_is_the_usual_one(
    connect: Connect, environment: pytest.MonkeyPatch, host: str, scheme: str, port: int
) -> None:
    asked: list[object] = []

    def refuse(address: object, *_: object, **__: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    environment.setattr(socket, "create_connection", refuse)
    with pytest.raises(NotConnected, match="refuses"):
        ask(connect(f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"))
    assert asked == [(host, port)]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_told_the_whole_address(
    comfyui: Exchange, connect: Connect, environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, f"http://me:p%40ss@{comfyui.place}")
    comfyui.get(f"{GPU}/comfy%20ui/a", "through")
    transport = connect(f"{GPU}/comfy ui")
    assert [ask(transport), ask(transport)] == [b"through"] * 2
    assert [request.connection for request in comfyui.requests] == [1, 1]
    sent = comfyui.requests[0].headers
    assert sent["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert sent.get_all("Host") == ["gpu.example:8188"]


def test_https_goes_through_a_proxy_s_tunnel(
    comfyui: Exchange, connect: Connect, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", f"http://me:p%40ss@{comfyui.place}")
    comfyui.on("CONNECT", "localhost:8443", tunnel)
    comfyui.get("/a", "through")
    transport = connect(elsewhere())
    assert [ask(transport), ask(transport)] == [b"through"] * 2
    opening, inside, again = comfyui.requests
    assert opening.headers["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert "X-Secret" not in opening.headers
    assert inside.headers["Host"] == "localhost:8443"
    assert inside.headers["X-Secret"] == "s"
    assert "Proxy-Authorization" not in inside.headers
    assert again.connection == opening.connection


def test_a_certificate_is_for_the_name_behind_the_tunnel(
    comfyui: Exchange, connect: Connect, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", comfyui.url)
    comfyui.on("CONNECT", "gpu.example:8443", tunnel)
    with pytest.raises(NotConnected, match="no trusted certificate"):
        ask(connect(elsewhere("gpu.example")))
    assert len(comfyui.requests) == 1


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (reply(status=407), r"does not connect to it \(HTTP 407\)"),
        (reply(status=502), r"does not connect to it \(HTTP 502\)"),
        (hang_up, "gives an answer that makes no sense"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_named(
    comfyui: Exchange, connect: Connect, environment: pytest.MonkeyPatch, refusal: Behaviour, said: str
) -> None:
    environment.setenv("HTTPS_PROXY", f"http://me:secret@{comfyui.place}")
    comfyui.on("CONNECT", "localhost:8443", refusal)
    named = f"cannot be reached: the proxy {comfyui.url} (HTTPS_PROXY)"
    with pytest.raises(NotConnected, match=f"^{re.escape(named)} {said}$"):
        ask(connect(elsewhere()))


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("http://me:secret@127.0.0.1:1", "the proxy http://127.0.0.1:1 (ALL_PROXY) refuses the connection"),
        ("127.0.0.1:1", "the proxy http://127.0.0.1:1 (ALL_PROXY) refuses the connection"),
        ("http://me:secret@a..b", "the proxy http://a..b:80 (ALL_PROXY) cannot be found"),
        ("http://127.0.0.1:secret", "ALL_PROXY is not the address of a proxy, such as http://proxy.example:3128"),
        ("http://a secret b", "ALL_PROXY is not the address of a proxy, such as http://proxy.example:3128"),
        (
            "http://me:1/secret@127.0.0.1:1",
            "ALL_PROXY is not the address of a proxy, such as http://proxy.example:3128",
        ),
        (
            "socks5h://me:secret@127.0.0.1",
            "ALL_PROXY names a proxy of the kind socks5h://; only http:// is supported",
        ),
        ("https://127.0.0.1:1", "ALL_PROXY names a proxy of the kind https://; only http:// is supported"),
    ],
)
def test_a_proxy_that_is_not_there_is_named_without_its_credentials(
    connect: Connect, environment: pytest.MonkeyPatch, proxy: str, said: str
) -> None:
    environment.setenv("ALL_PROXY", proxy)
    for url in (GPU, "https://gpu.example"):
        with pytest.raises(NotConnected, match=f"^{re.escape(f'cannot be reached: {said}')}$"):
            ask(connect(url))


def test_of_two_that_name_a_proxy_the_one_in_lower_case_counts(
    connect: Connect, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:2")
    environment.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(NotConnected, match=re.escape("the proxy http://127.0.0.1:1 (http_proxy) refuses")):
        ask(connect(GPU))


@pytest.mark.parametrize("url", [GPU, "https://gpu.example"])
def test_a_proxy_without_a_port_is_asked_at_80(connect: Connect, environment: pytest.MonkeyPatch, url: str) -> None:
    asked: list[object] = []

    def refuse(address: object, *_: object, **__: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    environment.setattr(socket, "create_connection", refuse)
    environment.setenv("ALL_PROXY", "proxy.example")
    with pytest.raises(NotConnected):
        ask(connect(url))
    assert asked == [("proxy.example", 80)]


@pytest.mark.parametrize(
    ("url", "exempt"),
    [
        (GPU, "gpu.example"),
        (GPU, "GPU.Example."),
        (GPU, ".example"),
        (GPU, "*.example"),
        (GPU, "example"),
        (GPU, "other, gpu.example:8188"),
        (GPU, "other gpu.example"),
        (GPU, "*"),
        (GPU, "other,*"),
        ("http://GPU.example.", "gpu.example:80"),
        ("http://gpü.example", "gpü.example"),
        ("http://xn--gp-zka.example", "gpü.example"),
        ("http://10.1.2.3:8188", "10.1.2.3"),
        ("http://10.1.2.3:8188", "10.1.2.3:8188"),
        ("http://10.1.2.3:8188", "other,10.0.0.0/8"),
        ("http://10.1.2.3:8188", "10.1.2.3/8"),
        ("http://[fd00::1]:8188", "fd00::/8"),
        ("http://[fd00::1]:8188", "FD00:0:0::1"),
        ("http://[fd00::1]:8188", "[fd00::1]"),
        ("http://[fd00::1]:8188", "[fd00::1]:8188"),
        ("http://[::ffff:10.1.2.3]:8188", "10.0.0.0/8"),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_some_need_no_proxy(
    connect: Connect, environment: pytest.MonkeyPatch, url: str, exempt: str, name: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    environment.setattr(socket, "create_connection", refuse)
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    environment.setenv(name, exempt)
    with pytest.raises(NotConnected, match="refuses the connection"):
        ask(connect(url))


@pytest.mark.parametrize(
    "exempt",
    [
        "10.0.0.0/8",
        "other",
        "ample",
        "u.example",
        "/",
        "x/8",
        "gpu.example:8189",
        ":8188",
        "1.2.3",
        ".",
        "*.",
        "fd00::/8",
    ],
)
def test_others_need_it_all_the_same(
    comfyui: Exchange, connect: Connect, environment: pytest.MonkeyPatch, exempt: str
) -> None:
    environment.setenv("HTTP_PROXY", comfyui.url)
    environment.setenv("NO_PROXY", exempt)
    for url in (GPU, "http://11.1.2.3"):
        comfyui.get(f"{url}/a", "through")
        assert ask(connect(url)) == b"through"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "localhost", "LocalHost", "[::1]", "0.0.0.0"])
def test_this_machine_is_asked_without_a_proxy(connect: Connect, environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("ALL_PROXY", "http://127.0.0.1:1")
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Exchange(host="::1" if host == "[::1]" else "127.0.0.1") as comfyui:
        comfyui.get("/a", "here")
        assert ask(connect(f"http://{host}:{comfyui.port}")) == b"here"
