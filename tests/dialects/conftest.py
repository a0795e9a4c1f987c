"""A bridge in front of a simulator, spoken to by the programs that know its dialects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests.served import served


@pytest.fixture
def make_app(sim: Simulator, tmp_path: Path) -> Callable[..., Flask]:
    """Makes an application for the simulator, with further settings."""

    def make(**settings: Any) -> Flask:
        return create_app(load_settings(**{"comfyui_url": sim.url, "state_dir": tmp_path / "state", **settings}))

    return make


@pytest.fixture
def api(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app().test_client()


@pytest.fixture
def bridge_url(make_app: Callable[..., Flask]) -> Iterator[str]:
    """Where a bridge is served."""
    with served(make_app()) as url:
        yield url
