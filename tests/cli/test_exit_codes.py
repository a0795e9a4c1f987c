"""The exit codes of `python app.py generate`, by what really goes wrong."""

from __future__ import annotations

import pytest

from comfybridge.cli.main import main
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.cli.made import graph_file
from tests.comfyui.forward_proxy import ForwardProxy
from tests.served import served


def run(maker: list[str], *arguments: str) -> int:
    return main(["generate", "-w", graph_file(graphs.picture()), *arguments, *maker])


def test_a_node_that_fails_is_5(maker: list[str], sim: Simulator) -> None:
    sim.fail_node("SaveImage", "no room")
    assert run(maker) == 5


def test_a_time_that_is_up_is_6(maker: list[str], sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    sim.hold()
    assert run(maker, "--timeout", "0.5") == 6
    assert "did not finish within 0.5 s" in capsys.readouterr().err


def test_a_wrong_setting_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COMFYBRIDGE_TIMEOUT", "soon")
    assert run([]) == 2
    assert "COMFYBRIDGE_TIMEOUT is 'soon'" in capsys.readouterr().err


def test_no_comfyui_where_none_was_named_is_4_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")  # requests to this machine ignore it
    monkeypatch.setattr("socket.create_connection", refuse)
    assert run([]) == 4
    assert capsys.readouterr().err == (
        "app.py generate: ComfyUI at http://127.0.0.1:8188 refuses the connection (is it running?). "
        "--comfyui-url gives the address of yours; --demo needs none.\n"
    )


def refuse(*_: object, **__: object) -> None:
    raise ConnectionRefusedError


# -- a bridge elsewhere, and proxies


def test_a_bridge_on_this_machine_needs_no_proxy(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        assert run(["--url", url]) == 0


def test_one_elsewhere_is_asked_through_it(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(comfyui_url=sim.url, allowed_hosts="bridge.example")
    with served(create_app(settings)) as url, ForwardProxy(url) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:secret@{proxy.place}")
        assert run(["--url", "http://bridge.example"]) == 0
    assert "POST" in proxy.methods


@pytest.mark.parametrize("proxy", ["http://me:secret@127.0.0.1:1", "socks5://me:secret@127.0.0.1:1"])
def test_a_proxy_that_does_not_help_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    assert run(["--url", "http://bridge.example"]) in (2, 4)
    said = capsys.readouterr().err
    assert "http_proxy" in said
    assert "secret" not in said
