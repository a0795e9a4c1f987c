"""Errors name no address of ComfyUI or of the engine; every answer here is searched for them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.dialects.comfy.calls import ended, post, queue, refused
from tests.dialects.comfy.uploading import upload


def test_an_engine_that_is_away_has_no_address(make_app: Callable[..., Flask]) -> None:
    api = make_app(engine="nats://127.0.0.1:9").test_client()
    error = refused(post(api), 503, "upstream_unreachable")
    assert error["message"] == "The engine does not answer."


def test_a_comfyui_that_is_away_has_no_address(api: FlaskClient, sim: Simulator) -> None:
    sim.kill()
    refused(upload(api), 503, "upstream_unreachable")


def test_a_job_that_failed_with_its_comfyui_names_no_address(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    app = make_jobs_app(job_attempts=1)
    sim.hold()
    job_id = queue(app.test_client())
    sim.wait_until_held()
    sim.kill()
    assert ended(app, job_id)["status"] == "failed"
