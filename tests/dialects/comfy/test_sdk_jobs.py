"""Jobs, as the vendor's Python client sees them."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfybridge.simulator import Simulator
from tests.dialects.comfy.sdk import client, comfy_sdk, make_client
from tests.graphs import node, picture, txt2img
from tests.web.jobs import queued_at

__all__ = ["client", "make_client"]


def workflow(client: Any, graph: dict[str, Any] | None = None) -> Any:
    return client.workflows.from_json(graph or picture())


def test_run(client: Any, tmp_path: Path) -> None:
    job = client.run(workflow(client))
    assert (job.status, job.error, job.metadata) == ("succeeded", None, {})
    [output] = job.outputs
    assert [each.id for each in job.get_outputs("2")] == [output.id]
    assert job.get_outputs("1") == job.get_outputs("nothing") == []
    assert (output.node_id, output.type, output.content_type, output.job_id) == ("2", "image", "image/png", job.id)
    assert output.name.endswith(".png")
    data = output.to_bytes()
    assert Image.open(io.BytesIO(data)).size == (64, 48)
    assert output.size_bytes == len(data)
    assert output.to_file(tmp_path / "made.png").read_bytes() == data
    assert output.to_bytes(range=(0, 3)) == data[:4]
    assert output.to_file(tmp_path / "part", range=(1, 5)).read_bytes() == data[1:6]
    stream = io.BytesIO()
    assert output.to_stream(stream) == len(data)
    assert stream.getvalue() == data
    link = output.get_download_url()
    assert link.url.endswith(f"/api/v2/assets/{output.id}/content")
    assert link.expires_at is None


def test_workflows_from_files_and_texts(client: Any, tmp_path: Path) -> None:
    graph = picture()
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph))
    for made in (client.workflows.from_file(path), client.workflows.from_str(json.dumps(graph))):
        made.set_input("1", "width", 32)
        made.set_input("3", "image", ["1", 0])
        made.json["3"]["class_type"] = "ImageInvert"
        made.set_input("2", "images", ["3", 0])
        made.remove_node("3")
        job = client.run(made)
        assert Image.open(io.BytesIO(job.outputs[0].to_bytes())).size == (32, 48)


def test_a_job_from_queue_to_end(client: Any, sim: Simulator) -> None:
    sim.hold()
    first = client.submit(workflow(client))
    second = client.submit(workflow(client))
    assert first.status == "queued"
    assert first.outputs == []
    sim.wait_until_running()
    assert first.refresh().status == "running"
    assert client.jobs.get(second.id).status == "queued"
    sim.release()
    assert first.wait().status == "succeeded"
    assert second.wait(timeout=60).result().status == "succeeded"
    again = client.jobs.get(first.id)
    assert again.id == first.id
    assert [each.id for each in again.outputs] == [each.id for each in first.outputs]


def test_a_wait_that_is_too_short(client: Any, sim: Simulator) -> None:
    sim.hold()
    job = client.submit(workflow(client))
    with pytest.raises(TimeoutError):
        job.wait(timeout=0)
    with pytest.raises(TimeoutError):
        client.run(workflow(client), timeout=0)


def test_the_workflow_of_a_job(client: Any, sim: Simulator) -> None:
    graph = picture()
    sim.hold()
    job = client.submit(workflow(client, graph), api_key="comfyui-secret")
    waiting = client.submit(workflow(client, graph))
    sim.wait_until_running()
    told = [job.get_workflow(), client.jobs.get(waiting.id).get_workflow()]
    sim.release()
    told += [client.jobs.get(job.wait().id).get_workflow(), waiting.wait().get_workflow()]
    assert [each.format for each in told] == ["api"] * 4
    for each in told:  # as it ran: the bridge gives each job a folder for its outputs
        prefix = each.graph["2"]["inputs"]["filename_prefix"]
        assert each.graph == {**graph, "2": node("SaveImage", images=["1", 0], filename_prefix=prefix)}
        assert prefix.endswith("test")


def test_a_key_for_nodes_that_cost(client: Any, sim: Simulator) -> None:
    job = client.run(workflow(client), api_key="comfyui-secret")
    [sent] = queued_at(sim)
    assert sent.body["extra_data"]["api_key_comfy_org"] == "comfyui-secret"
    assert "comfyui-secret" not in json.dumps(job.get_workflow().graph)


def test_cancelling(client: Any, sim: Simulator) -> None:
    sim.hold()
    running = client.submit(workflow(client))
    waiting = client.submit(workflow(client))
    sim.wait_until_running()
    assert waiting.cancel().status == "canceled"
    assert running.cancel().status in ("canceling", "canceled")
    assert client.jobs.get(running.id).cancel().id == running.id
    sim.release()
    for job in (running, waiting):
        assert job.wait().status == "canceled"
        with pytest.raises(comfy_sdk.JobFailed, match="canceled"):
            job.result()
    sim.wait_until_idle()
    assert not sim.pending


def test_cancelling_what_has_ended(client: Any) -> None:
    job = client.run(workflow(client))
    assert job.cancel().cancel().status == "succeeded"
    assert len(job.outputs) == 1


def test_labels_and_pages(client: Any) -> None:
    jobs = [client.submit(workflow(client), metadata={"run": str(number % 2)}) for number in range(5)]
    assert [each.metadata for each in jobs] == [{"run": str(number % 2)} for number in range(5)]
    for job in jobs:
        job.wait()
    assert client.jobs.get(jobs[1].id).metadata == {"run": "1"}
    listed = list(client.list_jobs(limit=2))
    assert [each.id for each in listed] == [each.id for each in reversed(jobs)]
    assert {each.status for each in listed} == {"succeeded"}
    for each in listed:
        assert isinstance(each.create_time, datetime)
        assert isinstance(each.update_time, datetime)
        assert each.create_time <= each.update_time
    odd = list(client.list_jobs(metadata={"run": "1"}, limit=1))
    assert [each.id for each in odd] == [jobs[3].id, jobs[1].id]
    assert list(client.list_jobs(metadata={"run": "1", "who": "nobody"})) == []


def test_odd_labels(client: Any) -> None:
    labels = {"a.b-C_9": "äöü & = [x] 猫", "k" * 40: "v" * 256, "empty": ""}
    job = client.submit(workflow(client), metadata=labels)
    assert job.metadata == labels
    [listed] = client.list_jobs(metadata=labels)
    assert (listed.id, listed.metadata) == (job.id, labels)


@pytest.mark.parametrize(
    "labels",
    [
        {str(number): "x" for number in range(17)},
        {"k" * 41: "x"},
        {"a b": "x"},
        {"": "x"},
        {"a": "x" * 257},
        {"a": "ä" * 129},
        {"a": "a\nb"},
        {"a": "\u202e"},
        {"a": 7},
    ],
)
def test_labels_that_are_refused(client: Any, sim: Simulator, labels: dict[str, Any]) -> None:
    with pytest.raises(comfy_sdk.ComfyError) as error:
        client.submit(workflow(client), metadata=labels)
    assert (error.value.code, error.value.http_status) == ("metadata_invalid", 422)
    assert not queued_at(sim)


def test_filters_that_are_refused(client: Any) -> None:
    for labels in (dict.fromkeys("abcd", "x"), {"a b": "x"}):
        with pytest.raises(comfy_sdk.ComfyError) as error:
            list(client.list_jobs(metadata=labels))
        assert (error.value.code, error.value.http_status) == ("invalid_metadata_filter", 400)
    for limit in (0, -1, 10_000):
        with pytest.raises(comfy_sdk.ComfyError) as error:
            list(client.list_jobs(limit=limit))
        assert error.value.http_status == 400


def test_a_failed_node(client: Any, sim: Simulator) -> None:
    sim.fail_node("KSampler", "out of paint")
    with pytest.raises(comfy_sdk.JobFailed) as error:
        client.run(workflow(client, txt2img(sim.checkpoints[0])))
    found = error.value.error
    assert (found.code, found.node_id, found.class_type) == ("node_execution_error", "3", "KSampler")
    assert "out of paint" in found.message
    assert found.traceback is None


def test_some_of_its_outputs_before_a_failure(client: Any, sim: Simulator) -> None:
    graph = picture()
    graph["8"] = node("ImageInvert", image=["1", 0])
    graph["9"] = node("PreviewImage", images=["8", 0])
    assert {each.node_id for each in client.run(workflow(client, graph)).outputs} == {"2", "9"}
