"""What all tests share: a simulator, and the options of the contract tests and the soak test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfybridge.simulator import Simulator
from tests.web.slow_site import SlowSite


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--comfyui-url",
        metavar="URL",
        help="run tests/contract against the ComfyUI at this URL instead of the simulator",
    )
    parser.addoption("--soak-seconds", type=float, default=20, help="how long tests/test_soak.py goes on")
    parser.addoption("--soak-seed", type=int, default=1, help="what its lots are drawn from")


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A stand-in ComfyUI that loses no time on sampling."""
    with Simulator(step_seconds=0) as simulator:
        yield simulator


@pytest.fixture
def site() -> Iterator[SlowSite]:
    site = SlowSite()
    yield site
    site.stop()
