"""Fixtures: `comfy-sdk`, the vendor's own client, unmodified and told nothing but where the bridge is.

Needs what `requirements-dev.txt` brings; CI has it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from comfybridge.simulator import Simulator
from tests.dialects.comfy.blocking import Blocking
from tests.serving.servers import PYTHON_APP, Server, free_port

comfy_sdk = pytest.importorskip("comfy_sdk", reason="requirements-dev.txt brings it")

MakeClient = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def make_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeClient]:
    """Makes clients for a bridge."""
    monkeypatch.delenv("COMFY_API_KEY", raising=False)
    with contextlib.ExitStack() as made:
        loop = asyncio.new_event_loop()
        made.callback(loop.close)

        def make(url: str, **options: Any) -> Any:
            monkeypatch.setenv("COMFY_BASE_URL", url)
            if request.param == "sync":
                return made.enter_context(comfy_sdk.Comfy(**options))
            return made.enter_context(Blocking(comfy_sdk.AsyncComfy(**options), loop))

        yield make


@pytest.fixture
def client(make_client: MakeClient, url: str) -> Any:
    return make_client(url)


@pytest.fixture
def start(sim: Simulator) -> Iterator[Callable[..., Server]]:
    """Starts bridges as users do, in front of the test's own simulator."""
    started: list[Server] = []

    def start(port: str | None = None) -> Server:
        started.append(Server(PYTHON_APP, COMFYUI_URL=sim.url, COMFYBRIDGE_PORT=port or free_port()))
        return started[-1]

    yield start
    for server in started:
        server.end()
