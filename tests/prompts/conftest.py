"""A server with a clock of its own for each test."""

from __future__ import annotations

import pytest

from comfybridge.comfyui import outcome
from comfybridge.prompts import progress
from tests.prompts.timed_server import Clock, Server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (progress, outcome):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server(clock)
