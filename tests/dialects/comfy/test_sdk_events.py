"""Events of a job, as the vendor's Python client hears them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from comfybridge.simulator import Simulator
from tests.dialects.comfy.sdk import client, comfy_sdk, make_client
from tests.graphs import picture, txt2img

__all__ = ["client", "make_client"]

WATCHERS = 24  # the vendor's proxy takes 8


def submit(client: Any, graph: dict[str, Any] | None = None) -> Any:
    return client.submit(client.workflows.from_json(graph or picture()))


def statuses(events: list[Any]) -> list[str]:
    return [each.status for each in events if isinstance(each, comfy_sdk.StatusChange)]


def outputs(events: list[Any]) -> list[Any]:
    return [each.output for each in events if isinstance(each, comfy_sdk.OutputReady)]


def test_events_from_queue_to_end(client: Any, sim: Simulator) -> None:
    sim.hold()
    before = submit(client)
    job = submit(client, txt2img(sim.checkpoints[0], steps=4))
    sim.wait_until_running()
    heard = []
    for event in job.events():
        heard.append(event)
        if len(heard) == 1:
            assert (event.status, event.queue_position) == ("queued", 1)
            sim.release()
    assert before.wait().status == "succeeded"
    assert statuses(heard)[0] == "queued"
    assert "running" in statuses(heard)
    assert heard[-1] == comfy_sdk.StatusChange(status="succeeded")
    [output] = outputs(heard)
    assert output.id == job.refresh().outputs[0].id
    assert len(output.to_bytes()) == output.size_bytes


def test_progress_and_previews(client: Any, sim: Simulator) -> None:
    sim.hold_steps(after=3)
    job = submit(client, txt2img(sim.checkpoints[0], steps=6))
    told, seen = None, None
    for event in job.events():
        if isinstance(event, comfy_sdk.Progress) and event.step == 3:
            told = event
            sim.release()
        if isinstance(event, comfy_sdk.Preview):
            seen = event
    assert told is not None
    assert 0 < told.value < 1
    assert (told.current_node, told.steps, told.nodes_total) == ("3", 6, 7)
    assert told.nodes_done is not None
    assert told.nodes_done < 7
    assert seen is not None
    assert seen.to_pil().size[0] > 0
    assert seen.content_type == "image/jpeg"
    assert job.wait().status == "succeeded"


def test_a_late_watcher_hears_everything(client: Any) -> None:
    job = submit(client, picture(batch=3)).wait()
    heard = list(job.events())
    assert statuses(heard) == ["succeeded"] or statuses(heard)[-1] == "succeeded"
    assert [each.id for each in outputs(heard)] == [each.id for each in job.outputs]
    assert len(outputs(heard)) == 3


def test_watching_a_job_that_is_cancelled(client: Any, sim: Simulator) -> None:
    sim.hold()
    job = submit(client)
    sim.wait_until_running()
    heard = []
    for event in job.events():
        if not heard:
            client.jobs.get(job.id).cancel()
            sim.release()
        heard.append(event)
    assert statuses(heard)[-1] == "canceled"


def test_watching_a_job_that_fails(client: Any, sim: Simulator) -> None:
    sim.fail_node("EmptyImage", "out of paint")
    job = submit(client)
    assert statuses(list(job.events()))[-1] == "failed"
    with pytest.raises(comfy_sdk.JobFailed):
        job.result()


@pytest.mark.parametrize("make_client", ["sync"], indirect=True)
def test_many_watchers(client: Any, sim: Simulator) -> None:
    sim.hold()
    job = submit(client)
    sim.wait_until_running()
    heard: dict[int, list[Any]] = {number: [] for number in range(WATCHERS)}
    ready = threading.Barrier(WATCHERS + 1)

    def watch(number: int) -> None:
        for event in client.jobs.get(job.id).events():
            if not heard[number]:
                ready.wait()
            heard[number].append(event)

    watching = [threading.Thread(target=watch, args=[number]) for number in heard]
    for each in watching:
        each.start()
    ready.wait()
    sim.release()
    for each in watching:
        each.join()
    for events in heard.values():
        assert statuses(events)[-1] == "succeeded"
        assert len(outputs(events)) == 1
