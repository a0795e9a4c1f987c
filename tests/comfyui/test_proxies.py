"""Where a call is sent: ports, proxies, tunnels."""

from __future__ import annotations

import base64
import socket

import pytest

from comfybridge.comfyui.transport import NotConnected
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
    with pytest.raises(NotConnected, match="no certificate that can be trusted"):
        ask(connect(elsewhere("gpu.example")))
    assert len(comfyui.requests) == 1


@pytest.mark.parametrize("refusal", [reply(status=407), reply(status=502), hang_up])
def test_a_proxy_that_opens_no_tunnel_is_said_so(
    comfyui: Exchange, connect: Connect, environment: pytest.MonkeyPatch, refusal: Behaviour
) -> None:
    environment.setenv("HTTPS_PROXY", comfyui.url)
    comfyui.on("CONNECT", "localhost:8443", refusal)
    with pytest.raises(NotConnected, match="through the proxy that the environment names"):
        ask(connect(elsewhere()))


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "http://127.0.0.1:x", "http://a..b", "http://a b"])
def test_a_proxy_that_is_not_there_is_said_so(connect: Connect, environment: pytest.MonkeyPatch, proxy: str) -> None:
    environment.setenv("ALL_PROXY", proxy)
    for url in (GPU, "https://gpu.example"):
        with pytest.raises(NotConnected, match="through the proxy that the environment names"):
            ask(connect(url))


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
        (GPU, ".example"),
        (GPU, "other, gpu.example:8188"),
        (GPU, "*"),
        ("http://10.1.2.3:8188", "10.1.2.3"),
        ("http://10.1.2.3:8188", "other,10.0.0.0/8"),
        ("http://[fd00::1]:8188", "fd00::/8"),
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


@pytest.mark.parametrize("exempt", ["10.0.0.0/8", "other", "ample", "/", "x/8"])
def test_others_need_it_all_the_same(
    comfyui: Exchange, connect: Connect, environment: pytest.MonkeyPatch, exempt: str
) -> None:
    environment.setenv("HTTP_PROXY", comfyui.url)
    environment.setenv("NO_PROXY", exempt)
    for url in (GPU, "http://11.1.2.3"):
        comfyui.get(f"{url}/a", "through")
        assert ask(connect(url)) == b"through"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_is_asked_without_a_proxy(connect: Connect, environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("ALL_PROXY", "http://127.0.0.1:1")
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Exchange(host="::1" if host == "[::1]" else "127.0.0.1") as comfyui:
        comfyui.get("/a", "here")
        assert ask(connect(f"http://{host}:{comfyui.port}")) == b"here"
