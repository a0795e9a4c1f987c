"""Fixtures: a small fleet in this process, on a nats-server that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.jobs.fleets import NatsServer, SmallFleet


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
