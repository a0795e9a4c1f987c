"""Servers for one test, and servers that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfybridge.simulator import Simulator
from tests.serving.servers import Server, Start, Started, free_port
from tests.waiting import SECONDS, until_true


@pytest.fixture
def start(sim: Simulator) -> Iterator[Start]:
    """Starts servers in front of the test's own simulator; each takes a second or two of a processor's time."""
    started = []

    def start(arguments: list[str], **environment: str) -> Server:
        server = Server(arguments, **{"COMFYUI_URL": sim.url, "COMFYBRIDGE_PORT": free_port(), **environment})
        started.append(server)
        return server

    yield start
    for server in started:
        server.end()


@pytest.fixture(scope="module")
def common_sim() -> Iterator[Simulator]:
    """What is behind the servers that tests share."""
    with Simulator(step_seconds=0) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def started(common_sim: Simulator) -> Iterator[Started]:
    """Servers by their arguments, each started when it is first asked for."""
    servers: dict[str, Server] = {}

    def get(arguments: list[str]) -> Server:
        name = " ".join(arguments)
        if name not in servers:
            servers[name] = Server(
                arguments,
                COMFYUI_URL=common_sim.url,
                COMFYBRIDGE_PORT=free_port(),
                COMFYBRIDGE_MAX_CONCURRENT="4",
                COMFYBRIDGE_MAX_JSON_BYTES="100000",
                COMFYBRIDGE_CORS_ORIGINS="https://shop.example",
            )
        return servers[name]

    yield get
    for server in servers.values():
        server.end()


@pytest.fixture
def common(started: Started, common_sim: Simulator) -> Iterator[Started]:
    """A server of that kind for a test that leaves it as it was, with four slots and little room for JSON."""
    asked: list[Server] = []

    def get(arguments: list[str]) -> Server:
        asked.append(started(arguments))
        return asked[-1]

    yield get
    common_sim.release()
    common_sim.heal()
    for server in asked:
        until_true(server.is_free, SECONDS)
