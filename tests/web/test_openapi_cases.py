"""The document and the application held against each other, by cases that schemathesis makes of the document.

Needs what `requirements-dev.txt` brings; CI has it. `COMFYBRIDGE_TEST_CASES=1000` tries more cases per operation.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask

from comfybridge.simulator import Simulator
from tests.served import served
from tests.web.jobs import jobs_app, make_jobs_app

__all__ = ["jobs_app", "make_jobs_app"]

pytest.importorskip("schemathesis", reason="requirements-dev.txt brings it")
validator = pytest.importorskip("openapi_spec_validator", reason="requirements-dev.txt brings it")

CASES = int(os.environ.get("COMFYBRIDGE_TEST_CASES", "25"))
# A request that fits the schemas may still name an unknown workflow or node: 400 or 404, as documented. Server errors
# are for our own check.
LEFT_OUT = "positive_data_acceptance,not_a_server_error"
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


@pytest.fixture
def url(jobs_app: Flask) -> Iterator[str]:
    """Where the application is served."""
    with served(jobs_app) as url:
        yield url


def test_the_document_is_valid(url: str) -> None:
    validator.validate(requests.get(f"{url}/openapi.json", timeout=10).json())


def test_answers_are_as_documented(url: str, sim: Simulator, tmp_path: Path) -> None:
    options = [f"--max-examples={CASES}", "--seed=1", "--no-color", f"--exclude-checks={LEFT_OUT}"]
    options += ["--generation-database=none", "--request-timeout=30", "--suppress-health-check=all"]
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", *options]
    ran = subprocess.run(
        [*command, f"{url}/openapi.json"],
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    paths = requests.get(f"{url}/openapi.json", timeout=10).json()["paths"]
    assert f"Tested: {sum(map(len, paths.values()))}" in ran.stdout
