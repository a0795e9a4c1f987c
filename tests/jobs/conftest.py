"""Fixtures: a small fleet in this process, on a nats-server that the tests of a module share or on a fake one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.jobs.fake_engine import Server
from tests.jobs.fleets import NatsServer, SmallFleet
from tests.jobs.parties import AgentParty, Party


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bridges clear away at once after jobs of other bridges too."""
    monkeypatch.setattr("comfybridge.jobs.clearing.PAUSE", 0.01)


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with closing(NatsServer(tmp_path_factory.mktemp("engine"))) as server:
        yield server


@pytest.fixture
def fleet(tmp_path: Path, nats_server: NatsServer) -> Iterator[SmallFleet]:
    with closing(SmallFleet(tmp_path, nats_server)) as fleet:
        yield fleet


@pytest.fixture
def api(fleet: SmallFleet, sim: Simulator) -> FlaskClient:
    """A bridge without a ComfyUI, whose only agent has one."""
    client = fleet.bridge()
    fleet.agent(sim)
    fleet.wait_for_agents(client, 1)
    return client


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def party(server: Server) -> Iterator[Callable[..., Party]]:
    started: list[Party] = []

    def start(**options: object) -> Party:
        bridge = Party(server, "bridge", **options)  # type: ignore[arg-type]
        bridge.start()
        started.append(bridge)
        return bridge

    yield start
    for each in started:
        each.close()


@pytest.fixture
def bridge(party: Callable[..., Party]) -> Party:
    return party()


@pytest.fixture
def agent(server: Server) -> Iterator[Callable[..., AgentParty]]:
    started: list[AgentParty] = []

    def start(name: str = "a", **options: object) -> AgentParty:
        agent = AgentParty(server, name, **options)  # type: ignore[arg-type]
        agent.start()
        started.append(agent)
        return agent

    yield start
    for each in started:
        each.close()
