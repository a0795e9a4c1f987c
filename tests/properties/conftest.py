"""Properties: what holds for any input, tried on inputs that hypothesis makes up.

The same few examples each time, so that a failure is one of the change at hand; `HYPOTHESIS_PROFILE=long` tries many
that are new each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app

settings.register_profile(
    "short",
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "long", max_examples=3000, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    """One for all examples of a module: to start it takes longer than to ask it."""
    with Simulator(step_seconds=0) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def api(sim: Simulator) -> Iterator[FlaskClient]:
    app = create_app(load_settings(comfyui_url=sim.url))
    yield app.test_client()
    app.extensions["comfybridge"].close()
