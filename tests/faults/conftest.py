"""Bridges of which nothing is left at the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from comfybridge.simulator import Simulator
from tests.faults.callers import LONG, Front
from tests.waiting import until_true


def own_threads() -> set[threading.Thread]:
    """The bridge's threads, and those of callers."""
    return {each for each in threading.enumerate() if each.name.startswith(("comfybridge", "caller", "streamed"))}


@pytest.fixture
def make_front(sim: Simulator) -> Iterator[Callable[..., Front]]:
    """Makes bridges; at the end nothing may be left of them."""
    before = own_threads()
    made: list[Front] = []

    def make(**settings: Any) -> Front:
        made.append(Front(sim, **settings))
        return made[-1]

    yield make
    for front in made:
        front.check_left_behind(len(made))
        front.bridge.close()
    until_true(lambda: own_threads() <= before)
    with contextlib.suppress(RuntimeError):  # the simulator may not be running any more
        sim.wait_for_sockets(0, LONG)


@pytest.fixture
def front(make_front: Callable[..., Front]) -> Front:
    return make_front()
