"""An engine that has no room left: by its own limits, or on its disk."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests import graphs
from tests.fleet.accounts import PATIENCE, body_of
from tests.fleet.engine import FILES, KEPT
from tests.fleet.fleet import Bridge, Fleet
from tests.waiting import until_true

LEAST_DISK = 64 * 2**20  # that a bridge can be told to use
MB = 2**20


def refused(bridge: Bridge, body: dict[str, Any]) -> bool:
    """Whether a job is refused for want of room, with nothing of it taken."""
    answer = requests.post(f"{bridge.url}/jobs", json=body, timeout=PATIENCE)
    if answer.status_code == 202:
        return False
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] in ("busy", "engine_unreachable")
    assert "Retry-After" in answer.headers
    return True


def with_file(label: str, size: int) -> dict[str, Any]:
    """The body of a job with a file of as many bytes."""
    side = int((size / 3) ** 0.5)
    written = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.randbytes(side * side * 3)).save(written, "PNG")
    body = body_of(label)
    body["workflow"]["1"] = graphs.node("LoadImage", image="input.png")
    body["images"] = {"input.png": base64.b64encode(written.getvalue()).decode()}
    return body


def fill(fleet: Fleet, bridge: Bridge) -> None:
    """Submit jobs until one is refused; a bridge may rely for a moment on the room that it saw before."""
    for number in itertools.count(6):
        answer = requests.post(f"{bridge.url}/jobs", json=body_of(f"job{number}"), timeout=PATIENCE)
        if answer.status_code != 202:
            break
        fleet.jobs.accepted(answer.json()["id"], f"job{number}")
    assert (answer.status_code, answer.json()["type"]) == (503, "busy")
    assert "Retry-After" in answer.headers


def test_jobs_run_although_the_queue_is_full(fleet: Fleet) -> None:
    """A bridge leaves room for the claims of the jobs that it takes."""
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for number in range(6):
        fleet.submit(bridge, f"job{number}")
    engine.records.tighten(KEPT, 20_000)
    fill(fleet, bridge)
    fleet.agent(engine, fleet.comfyui())
    fleet.check(bridge)


def test_jobs_run_although_there_is_no_room_for_more_files(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for number in range(4):
        label = f"job{number}"
        answer = requests.post(f"{bridge.url}/jobs", json=with_file(label, MB), timeout=PATIENCE)
        fleet.jobs.accepted(answer.json()["id"], label)
    engine.records.tighten(FILES)
    assert refused(bridge, with_file("refused", MB))
    fleet.agent(engine, fleet.comfyui())
    found = fleet.settle(bridge)
    print(found)
    fleet.submit(bridge, "afterwards")
    assert fleet.settle(bridge)["afterwards"]["status"] == "succeeded"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 MB, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass


def test_no_accepted_job_is_lost_on_a_disk_that_is_full(small_disk: Path, fleet: Fleet) -> None:
    """It runs full while jobs wait and one runs; then there is room again, and the engine is started again."""
    engine = fleet.engine(store=small_disk / "store")
    bridge = fleet.bridge(engine, job_disk_bytes=LEAST_DISK)
    fleet.agent(engine, fleet.comfyui())
    fleet.submit(bridge, "running", steps=200, webhook=fleet.receiver.url)
    fleet.wait_until_began("running")
    fleet.submit(bridge, "waiting", webhook=fleet.receiver.url)
    ballast = small_disk / "ballast"
    _fill(ballast)
    statuses = []
    for number in range(4):
        label = f"perhaps{number}"
        answer = requests.post(f"{bridge.url}/jobs", json=body_of(label), timeout=PATIENCE)
        statuses.append(answer.status_code)
        if answer.status_code == 202:
            fleet.jobs.accepted(answer.json()["id"], label)
    assert set(statuses) <= {202, 503}
    assert 503 in statuses
    fleet.wait_until_ended("running")
    fleet.wait_seconds(2 * fleet.lease)
    ballast.unlink()
    engine.kill_and_start()
    until_true(lambda: not refused(bridge, body_of("afterwards")), PATIENCE)
    fleet.check(bridge, again={"running", "waiting"}, unknown=1)
