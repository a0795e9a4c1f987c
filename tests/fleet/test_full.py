"""An engine that has no room left: by its own limits, or on its disk."""

from __future__ import annotations

import base64
import os
import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import graphs
from tests.fleet import comfyui
from tests.fleet.accounts import PATIENCE, body_of
from tests.fleet.fleet import Bridge, Fleet
from tests.waiting import until_true

LEAST_DISK = 64 * 2**20
MB = 2**20


def fill(fleet: Fleet, bridge: Bridge, bodies: Iterator[tuple[str, dict[str, Any]]], at_once: int = 1) -> None:
    """Have jobs accepted until one is refused for want of room."""

    def submit(job: tuple[str, dict[str, Any]]) -> bool:
        label, body = job
        answer = requests.post(f"{bridge.url}/jobs", json=body, timeout=PATIENCE)
        if answer.status_code == 202:
            fleet.jobs.accepted(answer.json()["id"], label)
            return True
        assert (answer.status_code, answer.json()["type"]) == (503, "busy"), answer.text
        assert "Retry-After" in answer.headers
        return False

    with ThreadPoolExecutor(at_once) as pool:
        while all(pool.map(submit, [next(bodies) for _ in range(at_once)])):
            pass
    assert fleet.jobs.labels


def small_jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Jobs whose whole request lies in the queue."""
    for number in range(100_000):
        graph = comfyui.job(f"small{number}", 0)
        graph["9"] = graphs.node("PreviewAny", source="x" * 12_000)
        yield f"small{number}", {"workflow": graph, "timeout": 120}


def large_jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Jobs with files of some megabytes."""
    for number in range(1000):
        graph = comfyui.job(f"large{number}", 0)
        graph["1"] = graphs.node("LoadImage", image="input.png")
        yield f"large{number}", {"workflow": graph, "timeout": 120, "images": {"input.png": _picture(3 * MB)}}


def _picture(size: int) -> str:
    """A picture with as much noise."""
    import io

    from PIL import Image

    side = int((size / 3) ** 0.5)
    written = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.randbytes(side * side * 3)).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


def test_jobs_run_although_the_queue_is_full(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine, job_disk_bytes=LEAST_DISK)
    fill(fleet, bridge, small_jobs(), at_once=8)
    fleet.agent(engine, fleet.comfyui(step_seconds=0))
    fleet.settle(bridge, 2 * PATIENCE)
    assert engine.records.results().keys() == fleet.jobs.labels.keys()
    assert not fleet.runs().again()
    fleet.submit(bridge, "afterwards")
    fleet.settle(bridge)


def test_jobs_run_although_there_is_no_room_for_more_files(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine, job_disk_bytes=LEAST_DISK)
    fill(fleet, bridge, large_jobs())
    fleet.agent(engine, fleet.comfyui(step_seconds=0))
    fleet.check(bridge)
    fleet.submit(bridge, "afterwards")
    fleet.check(bridge)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MB, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_no_accepted_job_is_lost_on_a_disk_that_is_full(small_disk: Path, fleet: Fleet) -> None:
    """It runs full while jobs wait and one runs; then there is room again, and the engine is started again."""
    engine = fleet.engine(store=small_disk / "store")
    bridge = fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    fleet.submit(bridge, "running", steps=200, webhook=fleet.receiver.url)
    fleet.wait_until_began("running")
    fleet.submit(bridge, "waiting", webhook=fleet.receiver.url)
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        with pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
                file.flush()
    refused = 0
    for number in range(20):
        label = f"perhaps{number}"
        answer = requests.post(f"{bridge.url}/jobs", json=body_of(label), timeout=PATIENCE)
        if answer.status_code == 202:
            fleet.jobs.accepted(answer.json()["id"], label)
        else:
            assert answer.status_code == 503, answer.text
            refused += 1
    assert refused
    fleet.wait_until_ended("running")
    fleet.wait_seconds(2 * fleet.lease)
    ballast.unlink()
    engine.kill_and_start()
    until_true(
        lambda: requests.post(f"{bridge.url}/jobs", json=body_of("x"), timeout=60).status_code == 202, PATIENCE
    )
    fleet.check(bridge, again={"running", "waiting"}, unknown=1)
