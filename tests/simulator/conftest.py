"""A simulator for each test, fast unless the test slows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from comfybridge.simulator import Simulator
from tests.contract.ear import Ear
from tests.contract.server import Server


@pytest.fixture
def server(sim: Simulator) -> Server:
    return Server(sim.url)


@pytest.fixture
def listen(sim: Simulator) -> Iterator[Callable[..., Ear]]:
    """Opens websockets that are closed after the test."""
    ears: list[Ear] = []

    def connect(client_id: str | None = None, *, flags: bool = False) -> Ear:
        ears.append(Ear(sim.url, client_id, flags=flags))
        return ears[-1]

    yield connect
    sim.unmute()
    for ear in ears:
        ear.close()


@pytest.fixture
def ear(listen: Callable[..., Ear]) -> Ear:
    return listen()
