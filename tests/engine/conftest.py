from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comfybridge.engine.engine import Engine
from comfybridge.settings import load_settings
from comfybridge.state import StateFolder
from tests.engine.servers import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = Server(folder)
    yield running
    running.kill()


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Makes engines, which are closed at the end: `make_engine(engine=URL)`; without an address, embedded ones."""
    made: list[Engine] = []

    def make(*, makes_streams: bool = True, state: Path | None = None, **settings: Any) -> Engine:
        folder = StateFolder(state or tmp_path / "state")
        made.append(Engine(load_settings(**settings), folder, makes_streams=makes_streams))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(server: Server, make_engine: Callable[..., Engine]) -> Engine:
    return make_engine(engine=server.url)
