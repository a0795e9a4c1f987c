"""Every application that a test makes here has its answers below /api/v2 held against the vendor's specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import ROOT
from tests.dialects.comfy.checked import Checked
from tests.served import served
from tests.web.jobs import jobs_api, jobs_app, make_jobs_app

__all__ = ["jobs_api", "jobs_app", "make_jobs_app"]


@pytest.fixture
def inside(sim: Simulator, tmp_path: Path) -> list[str]:
    """What no answer may tell."""
    netloc = sim.url.partition("://")[2]
    folders = (sim.input_directory, sim.output_directory, sim.temp_directory, tmp_path, ROOT / "comfybridge")
    return [netloc, *map(str, folders)]


@pytest.fixture
def faults() -> Iterator[list[str]]:
    """Faults of answers; a test that is to cause one takes it out."""
    found: list[str] = []
    yield found
    assert not found, "\n".join(found)


@pytest.fixture
def answers() -> list[str]:
    """The answers below /api/v2 so far, as "GET /api/v2/jobs 200"."""
    return []


@pytest.fixture
def make_app(
    make_app: Callable[..., Flask], faults: list[str], answers: list[str], inside: list[str]
) -> Callable[..., Flask]:
    def make(**settings: Any) -> Flask:
        app = make_app(**settings)
        app.wsgi_app = Checked(app.wsgi_app, faults, answers, inside)
        return app

    return make


@pytest.fixture
def api(jobs_app: Flask) -> FlaskClient:
    return jobs_app.test_client()


@pytest.fixture
def url(jobs_app: Flask) -> Iterator[str]:
    """Where an application with jobs is served."""
    with served(jobs_app) as url:
        yield url
