"""The command line in a folder of the test's own, and who may make its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests.served import served


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is read from, or left in, the folder in which the tests run; no proxy is in the way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMFYUI_URL", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def bridge_url(sim: Simulator) -> Iterator[str]:
    """A bridge in front of the simulator."""
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        yield url


@pytest.fixture(params=["--url", "--comfyui-url"])
def maker(request: pytest.FixtureRequest, sim: Simulator) -> list[str]:
    """The option that says who makes the picture: a bridge elsewhere, or a ComfyUI."""
    return [request.param, sim.url if request.param == "--comfyui-url" else request.getfixturevalue("bridge_url")]
