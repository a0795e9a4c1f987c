"""The bridge and ComfyUI killed while the vendor's client waits."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from comfybridge.simulator import Simulator
from tests.dialects.comfy.sdk import comfy_sdk, make_client, start
from tests.graphs import picture
from tests.serving.servers import free_port

__all__ = ["make_client", "start"]

pytestmark = pytest.mark.parametrize("make_client", ["sync"], indirect=True)

CALLERS = 12


def workflow(client: Any) -> Any:
    return client.workflows.from_json(picture(16, 16))


def test_the_bridge_is_killed(start: Any, make_client: Any, sim: Simulator) -> None:
    port = free_port()
    first = start(port)
    client = make_client(first.url)
    sim.hold()
    asset = client.assets.from_bytes(b"a file", filename="x.bin")
    kept = asset.commit()
    jobs = [client.submit(workflow(client), metadata={"number": str(number)}) for number in range(CALLERS)]
    sim.wait_until_running()
    first.end()
    sim.release()
    start(port)
    for number, job in enumerate(jobs):
        again = client.jobs.get(job.id)
        assert again.metadata == {"number": str(number)}
        assert again.result().outputs[0].to_bytes()
        assert again.get_workflow().graph
    assert [each.id for each in client.list_jobs()] == [each.id for each in reversed(jobs)]
    assert client.assets.get(kept).hash == asset.hash


def test_comfyui_is_killed(start: Any, make_client: Any, sim: Simulator) -> None:
    """No caller is told of it but by a job that failed."""
    client = make_client(start().url)
    sim.hold()
    submitted = threading.Barrier(CALLERS + 1)

    def run(number: int) -> str:
        job = client.submit(workflow(client))
        submitted.wait()
        try:
            return str(job.result().status)
        except comfy_sdk.JobFailed as failed:
            return f"{job.status}: {failed.error.code}"

    with ThreadPoolExecutor(CALLERS) as callers:
        ended = [callers.submit(run, number) for number in range(CALLERS)]
        submitted.wait()
        sim.wait_until_running()
        sim.restart()
        sim.release()
        assert set(Counter(each.result() for each in ended)) <= {"succeeded", "failed: prompt_lost"}
    assert client.run(workflow(client)).status == "succeeded"


def test_comfyui_is_away(start: Any, make_client: Any, sim: Simulator) -> None:
    """Polls, events and cancels are answered meanwhile, with what is known."""
    client = make_client(start().url)
    done = client.run(workflow(client))
    sim.hold()
    job = client.submit(workflow(client))
    sim.wait_until_running()
    sim.kill()
    assert job.refresh().status in ("queued", "running", "failed")
    assert client.jobs.get(done.id).outputs[0].to_bytes()
    assert [each.status for each in done.events() if isinstance(each, comfy_sdk.StatusChange)] == ["succeeded"]
    assert job.cancel().status in ("canceling", "canceled", "failed")
    sim.release()
    sim.revive()
    assert job.wait().status in ("canceled", "failed")
    assert client.run(workflow(client)).status == "succeeded"
