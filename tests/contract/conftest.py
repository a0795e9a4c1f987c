"""The server under contract: the simulator in its newest and oldest version, or the ComfyUI at --comfyui-url."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from comfybridge.simulator import Simulator
from comfybridge.simulator.version import NEWEST, OLDEST
from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each test on the simulator in both versions, or once on a real ComfyUI."""
    if "server" in metafunc.fixturenames:
        url = metafunc.config.getoption("--comfyui-url")
        metafunc.parametrize("server", [url] if url else [NEWEST, OLDEST], indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all contract tests: each must cope with what others have left there."""
    if "://" in request.param:
        yield Server(request.param.rstrip("/"), patience=120)  # on a CPU, loading a checkpoint takes long
    else:
        with Simulator(step_seconds=0.005, version=request.param) as simulator:
            yield Server(simulator.url)


@pytest.fixture
def listen(server: Server) -> Iterator[Callable[..., Ear]]:
    """Opens websockets that are closed after the test."""
    ears: list[Ear] = []

    def connect(client_id: str | None = None, *, flags: bool = False) -> Ear:
        ears.append(Ear(server.url, client_id, flags=flags, patience=server.patience))
        return ears[-1]

    yield connect
    for ear in ears:
        ear.close()


@pytest.fixture
def ear(listen: Callable[..., Ear]) -> Ear:
    """One client with a websocket."""
    return listen()


@pytest.fixture(scope="session")
def checkpoint(server: Server) -> str:
    """A checkpoint that can be sampled with."""
    names = server.get("/models/checkpoints").json()
    if not names:
        pytest.skip("this ComfyUI has no checkpoint")
    return str(names[0])


@pytest.fixture
def busy(server: Server, checkpoint: str, listen: Callable[..., Ear]) -> Iterator[str]:
    """The id of a prompt that is being sampled and will not end by itself during the test."""
    ear = listen()
    prompt_id = server.queue(graphs.txt2img(checkpoint, steps=9000), ear)
    ear.until("progress")
    yield prompt_id
    server.post("/interrupt", {"prompt_id": prompt_id})
    server.wait_until_gone(prompt_id)
