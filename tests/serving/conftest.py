"""Servers for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from comfybridge.simulator import Simulator
from tests.serving.servers import Server, free_port


@pytest.fixture
def start(sim: Simulator) -> Iterator[Callable[..., Server]]:
    started = []

    def start(arguments: list[str], **environment: str) -> Server:
        server = Server(arguments, **{"COMFYUI_URL": sim.url, "COMFYBRIDGE_PORT": free_port(), **environment})
        started.append(server)
        return server

    yield start
    for server in started:
        server.end()
