"""Properties: what holds for any input, tried on inputs that hypothesis makes up.

The same few examples each time, so that a failure is one of the change at hand. `HYPOTHESIS_PROFILE=more` (for CI)
and `HYPOTHESIS_PROFILE=long` try more of them, which are new each time.
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

EXAMPLES = {"short": 30, "more": 200, "long": 3000}
for name, count in EXAMPLES.items():
    settings.register_profile(
        name,
        max_examples=count,
        derandomize=name == "short",
        print_blob=name != "short",
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
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
