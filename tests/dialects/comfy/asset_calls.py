"""Calls of the Comfy API v2 for tests that use assets as inputs."""

from __future__ import annotations

import io
import wave
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from tests.graphs import node
from tests.web.jobs import jobs_of

SECONDS = 20.0


def png(color: tuple[int, int, int], size: tuple[int, int] = (48, 32)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(800))
    return file.getvalue()


def reference(asset_id: object) -> dict[str, Any]:
    return {"__type": "core/ASSET", "info": {"id": asset_id}}


def saving(*inputs: Any) -> dict[str, Any]:
    """A graph that loads pictures, and saves them as they are."""
    graph = {}
    for number, each in enumerate(inputs):
        graph[f"load{number}"] = node("LoadImage", image=each)
        graph[f"save{number}"] = node("SaveImage", images=[f"load{number}", 0], filename_prefix="x")
    return graph


def upload(api: FlaskClient, data: bytes, name: str = "photo.png", headers: dict[str, str] | None = None) -> str:
    form = {"content_type": "image/png", "file_path": name, "file": (io.BytesIO(data), name)}
    answer = api.post("/api/v2/assets", data=form, headers=headers or {})
    assert answer.status_code in (200, 201), answer.text
    asset_id: str = answer.get_json()["id"]
    return asset_id


def submit(api: FlaskClient, graph: dict[str, Any], headers: dict[str, str] | None = None, **more: Any) -> str:
    answer = api.post("/api/v2/jobs", json={"workflow": graph, **more}, headers=headers or {})
    assert answer.status_code == 201, answer.text
    job_id: str = answer.get_json()["id"]
    return job_id


def ended(app: Flask, job_id: str) -> dict[str, Any]:
    """A job, once it has ended."""
    assert jobs_of(app).wait(job_id, SECONDS).has_ended
    body: dict[str, Any] = app.test_client().get(f"/api/v2/jobs/{job_id}").get_json()
    return body


def colors(app: Flask, job: dict[str, Any]) -> list[Any]:
    """The colours of the pictures that a job has saved."""
    assert job["status"] == "succeeded", job
    api = app.test_client()
    contents = [api.get(f"/api/v2/assets/{each['id']}/content").data for each in job["outputs"]]
    return [Image.open(io.BytesIO(each)).convert("RGB").getpixel((5, 5)) for each in contents]


def uploads(sim: Simulator) -> int:
    return sum(each.path.endswith("/upload/image") for each in sim.requests)


def refused(answer: TestResponse, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    error = answer.get_json()["error"]
    assert error["code"] == code
    message: str = error["message"]
    return message
