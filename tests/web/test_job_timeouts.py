"""The time of a job's run: when it is over, the job has failed and its prompt is cancelled, unless it is to go on."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.waiting import until_true
from tests.web.answers import failure, success
from tests.web.jobs import SECONDS, accepted, ended, jobs_api, jobs_app, jobs_of, make_jobs_app, queue

__all__ = ["jobs_api", "jobs_app", "make_jobs_app"]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "order 9"}])
def test_a_job_whose_time_is_up_has_failed(
    jobs_app: Flask, jobs_api: FlaskClient, sim: Simulator, headers: dict[str, str]
) -> None:
    sim.hold()
    job_id = queue(jobs_api, headers, workflow=graphs.picture(), timeout=1)
    assert ended(jobs_app, job_id)["error"]["type"] == "timeout"
    late = failure(jobs_api.get(f"/results/{job_id}"), 504, "timeout")
    assert late["error"] == "The prompt did not finish within 1 s; it was told to stop while it ran."
    until_true(lambda: not sim.running)  # although no step of it was allowed
    failure(jobs_api.post(f"/cancel/{job_id}"), 404, "unknown_prompt")


def test_a_job_that_is_kept_goes_on(jobs_app: Flask, jobs_api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    job_id = accepted(
        jobs_api.post(
            "/generate",
            json={"workflow": graphs.picture(), "timeout": 0.3, "on_timeout": "keep"},
            headers={"Prefer": "respond-async"},
        )
    )
    sim.wait_until_running()
    assert not jobs_of(jobs_app).wait(job_id, 0.6).has_ended
    assert jobs_api.get(f"/results/{job_id}").status_code == 202
    sim.release()
    assert jobs_of(jobs_app).wait(job_id, SECONDS).status == "succeeded"
    assert len(success(jobs_api.get(f"/results/{job_id}"))["images"]) == 1
