"""A ComfyUI behind a proxy that the environment names, and one on this machine that needs none."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from comfybridge.web.current import EXTENSION
from tests import graphs
from tests.comfyui.forward_proxy import ForwardProxy

GPU = "http://gpu.example:8188"
NAMES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "ws_proxy"]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*NAMES, "no_proxy", "NO_PROXY"]:
        monkeypatch.delenv(name, raising=False)


def ask(url: str, wait: str = "hub", save: str = "SaveImage") -> tuple[int, dict[str, Any]]:
    """The status and the body of what a bridge in front of that ComfyUI answers."""
    app = create_app(load_settings(comfyui_url=url, wait=wait))
    with app.extensions[EXTENSION]:
        answer = app.test_client().post("/generate", json={"workflow": graphs.picture(save=save)})
    return answer.status_code, answer.json


@pytest.mark.parametrize("wait", ["hub", "websocket"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_needs_no_proxy_for_events_either(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, wait: str, host: str
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    status, body = ask(sim.url.replace("127.0.0.1", host), wait, "SaveImageWebsocket")
    assert (status, body["warnings"]) == (200, [])


@pytest.mark.parametrize("wait", ["hub", "websocket"])
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_events_come_through_the_proxy_that_the_calls_go_through(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, wait: str, name: str
) -> None:
    with ForwardProxy(sim.url) as proxy:
        monkeypatch.setenv(name, f"http://me:p%40ss@{proxy.place}")
        status, body = ask(GPU, wait, "SaveImageWebsocket")
    assert (status, body["warnings"]) == (200, [])
    assert "CONNECT" in proxy.methods
    credentials = "Proxy-Authorization: Basic " + base64.b64encode(b"me:p@ss").decode()
    assert all(credentials in head for head in proxy.heads)


@pytest.mark.parametrize("wait", ["hub", "websocket"])
def test_a_proxy_that_lets_no_websocket_through_is_named(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    with ForwardProxy(sim.url, refused=("CONNECT",)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@{proxy.place}")
        status, body = ask(GPU, wait)
    named = f"the proxy http://{proxy.place} (HTTP_PROXY) does not connect to it (HTTP 403)"
    assert status == 200
    assert body["warnings"] == [
        f"The websocket of ComfyUI at {GPU} cannot be reached: {named}. The result was polled for."
    ]


@pytest.mark.parametrize("wait", ["hub", "websocket", "poll"])
def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, wait: str) -> None:
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
    status, body = ask(GPU, wait)
    assert (status, body["type"]) == (503, "comfyui_unreachable")
    assert body["error"] == (
        f"ComfyUI at {GPU} cannot be reached: the proxy http://127.0.0.1:1 (http_proxy) refuses the connection."
    )


@pytest.mark.parametrize("exempt", ["gpu.invalid", ".invalid", "*", "GPU.invalid:8188"])
def test_no_proxy_counts_for_events_too(monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", exempt)
    for wait in ("hub", "websocket"):
        status, body = ask("http://gpu.invalid:8188", wait)
        assert status == 503
        assert "its host name is unknown" in str(body["error"])
