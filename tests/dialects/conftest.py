"""What tests of dialects share with those of the bridge's own API: an application in front of a simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.served import served
from tests.web.conftest import api, api_for, make_app, policy_file

__all__ = ["api", "api_for", "make_app", "policy_file", "url"]


@pytest.fixture
def url(make_app: Callable[..., Flask]) -> Iterator[str]:
    """Where the application is served."""
    with served(make_app()) as url:
        yield url
