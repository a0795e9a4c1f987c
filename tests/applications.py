"""Fixtures: applications in front of a simulator, for the tests of the bridge's own API and of other dialects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests.web.policies import KEYS, MakeApi


@pytest.fixture
def make_app(sim: Simulator) -> Callable[..., Flask]:
    """Makes an application for the simulator, with further settings."""

    def make(**settings: Any) -> Flask:
        return create_app(load_settings(**{"comfyui_url": sim.url, **settings}))

    return make


@pytest.fixture
def api(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app().test_client()


@pytest.fixture
def policy_file(tmp_path: Path) -> Callable[..., str]:
    """Writes a policy file, and gives its path."""

    def write(**policies: Any) -> str:
        path = tmp_path / "policies.yaml"
        path.write_text(yaml.safe_dump(policies))
        return str(path)

    return write


@pytest.fixture
def api_for(make_app: Callable[..., Flask], policy_file: Callable[..., str]) -> MakeApi:
    """A bridge on which one policy holds for the key `shop`."""

    def make(**fields: Any) -> FlaskClient:
        return make_app(api_keys=KEYS, policy_file=policy_file(shop=fields)).test_client()

    return make
