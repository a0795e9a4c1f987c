"""What all tests share: a simulator, and the option that names a real ComfyUI for the contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfybridge.simulator import Simulator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--comfyui-url",
        metavar="URL",
        help="run tests/contract against the ComfyUI at this URL instead of the simulator",
    )


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A stand-in ComfyUI that loses no time on sampling."""
    with Simulator(step_seconds=0) as simulator:
        yield simulator
