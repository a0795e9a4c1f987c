"""Jobs when the room for their files runs out."""

from __future__ import annotations

import os
from collections.abc import Callable

from flask import Flask
from PIL import Image

from comfybridge.simulator import Simulator
from tests.media.pictures import encoded
from tests.web.answers import failure
from tests.web.input_files import b64, loading
from tests.web.jobs import accepted, ended, make_jobs_app

__all__ = ["make_jobs_app"]

LEAST = 64 * 1024 * 1024  # bytes that an engine may have
MOST_JOBS = 100


def test_the_input_files_of_waiting_jobs_leave_room_for_results(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    app = make_jobs_app(job_disk_bytes=LEAST)
    api = app.test_client()
    noise = Image.frombytes("RGB", (700, 700), os.urandom(3 * 700 * 700))
    wanted = {"workflow": loading("mine"), "images": {"mine": b64(encoded(noise))}}
    sim.hold()
    made = []
    for _ in range(MOST_JOBS):
        response = api.post("/jobs", json=wanted)
        if response.status_code != 202:
            break
        made.append(accepted(response))
    failure(response, 503, "busy")
    assert int(response.headers["Retry-After"]) >= 1
    assert len(made) > 5
    sim.release()
    assert {ended(app, job_id)["status"] for job_id in made} == {"succeeded"}
