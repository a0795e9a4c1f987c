"""A bridge with its web face, in front of a simulator."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.applications import api, api_for, make_app, policy_file
from tests.web import keys

__all__ = ["api", "api_for", "impatient", "locked", "make_app", "policy_file"]


@pytest.fixture
def locked(make_app: Callable[..., Flask]) -> FlaskClient:
    """A bridge whose callers need keys."""
    return make_app(api_keys=keys.KEYS).test_client()


@pytest.fixture
def impatient(quiet_seconds: Callable[[float], None]) -> None:
    """Look up what was quiet for 0.2 s instead of 3."""
    quiet_seconds(0.2)
