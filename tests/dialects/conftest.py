"""What tests of dialects share with those of the bridge's own API: an application in front of a simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.applications import api, api_for, make_app, policy_file
from tests.served import served

__all__ = ["api", "api_for", "make_app", "policy_file", "url"]


@pytest.fixture(autouse=True)
def _state_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What one test leaves behind, such as its caller's model, is not there in the next."""
    monkeypatch.setenv("COMFYBRIDGE_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def url(make_app: Callable[..., Flask]) -> Iterator[str]:
    """Where the application is served."""
    with served(make_app()) as url:
        yield url
