"""The bridge held against the vendor's specification, by cases that schemathesis makes of it.

Needs what `requirements-dev.txt` brings; CI has it. `COMFYBRIDGE_TEST_CASES=1000` tries more cases per operation.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from comfybridge.simulator import Simulator
from tests.dialects.comfy.specification import DOCUMENT
from tests.graphs import picture
from tests.served import served
from tests.web.jobs import SECONDS, jobs_of
from tests.web.policies import png

pytest.importorskip("schemathesis", reason="requirements-dev.txt brings it")

CASES = int(os.environ.get("COMFYBRIDGE_TEST_CASES", "25"))
# A request that fits the schemas may still name an unknown node, and GET /jobs is not in the specification yet.
# Statuses, schemas and leaks are left to `Checked`, which sees all answers: it knows also those not specified,
# such as 400 and 413, and the types of files.
LEFT_OUT = ",".join(
    (
        "positive_data_acceptance",
        "unsupported_method",
        "allow_header_conformance",
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
)
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
OPERATIONS = DOCUMENT.read_text().count("operationId:")


def known(app: Flask) -> dict[str, object]:
    """What is there to ask for."""
    api = app.test_client()
    workflow = picture()
    job = api.post("/api/v2/jobs", json={"workflow": workflow}).get_json()["id"]
    assert jobs_of(app).wait(job, SECONDS).has_ended
    output = api.get(f"/api/v2/jobs/{job}").get_json()["outputs"][0]["id"]
    form = {"content_type": "image/png", "file_path": "x.png", "file": (io.BytesIO(png(8, 8)), "x.png")}
    asset = api.post("/api/v2/assets", data=form).get_json()
    return {"jobs": [job], "assets": [output, asset["id"]], "hash": [asset["hash"]], "workflow": workflow}


def test_answers_are_as_specified(jobs_app: Flask, sim: Simulator, tmp_path: Path, answers: list[str]) -> None:
    options = [f"--max-examples={CASES}", "--seed=1", "--no-color", f"--exclude-checks={LEFT_OUT}"]
    options += ["--generation-database=none", "--request-timeout=30", "--suppress-health-check=all"]
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", *options]
    with served(jobs_app) as url:
        ran = subprocess.run(
            [*command, f"--url={url}", str(DOCUMENT)],
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "COMFY_TEST_KNOWN": json.dumps(known(jobs_app))},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"Tested: {OPERATIONS}" in ran.stdout
    assert [each for each in answers if each.split()[-1].startswith("5")] == []
    assert {"POST /api/v2/jobs 201", "POST /api/v2/assets 201"} < set(answers)
