"""The job list: what waits, runs and has ended, in one shape. Skipped where the version has none."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


@pytest.fixture(autouse=True)
def _job_list(server: Server) -> None:
    if not server.version.lists_jobs:
        pytest.skip("this ComfyUI has no job list")


@pytest.fixture
def cancels(server: Server) -> None:
    if not server.version.cancels_jobs:
        pytest.skip("this ComfyUI can't cancel by the job list")


@pytest.fixture
def pending(server: Server, busy: str) -> Iterator[str]:
    """A prompt that waits behind another one."""
    prompt_id = server.queue(graphs.saved())
    yield prompt_id
    server.post("/queue", {"delete": [prompt_id]})


def listed(server: Server, **query: Any) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = server.get("/api/jobs", **query).json()["jobs"]
    return jobs


def error(server: Server, **query: Any) -> str:
    response = server.get("/api/jobs", **query)
    assert response.status_code == 400
    return str(response.json()["error"])


def test_a_waiting_and_a_running_job_are_told_without_their_graphs(server: Server, busy: str, pending: str) -> None:
    jobs = {job["id"]: job for job in listed(server, status="pending,in_progress")}

    assert {prompt_id: job["status"] for prompt_id, job in jobs.items()} == {busy: "in_progress", pending: "pending"}
    for prompt_id, job in jobs.items():
        assert {"id", "status", "priority", "create_time", "outputs_count"} <= set(job)
        assert not {"workflow", "outputs"} & set(job)
        assert abs(job["create_time"] / 1000 - time.time()) < 600
        one = server.get(f"/api/jobs/{prompt_id}").json()
        assert {name: one[name] for name in job} == job


def test_the_list_can_be_had_of_one_status_alone(server: Server, busy: str, pending: str) -> None:
    assert [job["id"] for job in listed(server, status="in_progress")] == [busy]
    assert pending in [job["id"] for job in listed(server, status="pending")]
    assert not {busy, pending} & {job["id"] for job in listed(server, status="completed,failed,cancelled")}


def test_priorities_are_the_numbers_of_the_queue(server: Server, busy: str) -> None:
    numbers = [5.0, -3.0, 7.5]
    prompts = {server.queue(graphs.saved(), number=number): number for number in numbers}

    jobs = {job["id"]: job["priority"] for job in listed(server, status="pending")}
    server.post("/queue", {"delete": list(prompts)})

    assert {prompt_id: jobs[prompt_id] for prompt_id in prompts} == prompts


def test_a_finished_job_is_told_with_its_graph_and_its_outputs(server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    prompt_id = server.run(graph, ear, extra_data={"note": "kept", "extra_pnginfo": {"workflow": {"id": "w1"}}})

    job = server.get(f"/api/jobs/{prompt_id}").json()
    (short,) = [each for each in listed(server, status="completed") if each["id"] == prompt_id]

    entry = server.entry(prompt_id)
    assert job["status"] == "completed"
    assert job["workflow"]["prompt"] == graph
    assert job["workflow"]["extra_data"] == entry["prompt"][3]
    assert job["outputs"] == entry["outputs"]
    assert job["execution_status"] == entry["status"]
    assert (job["outputs_count"], job["previewable_outputs_count"], job["workflow_id"]) == (1, 1, "w1")
    assert job["execution_start_time"] <= job["execution_end_time"]
    assert job["preview_output"] == {**entry["outputs"]["2"]["images"][0], "nodeId": "2", "mediaType": "images"}
    assert short == {name: value for name, value in job.items() if name in short}
    assert set(job) - set(short) == {"outputs", "execution_status", "workflow"}


def test_saved_pictures_stand_for_a_job_before_shown_ones(server: Server, ear: Ear) -> None:
    graph = {"0": graphs.node("PreviewImage", images=["1", 0]), **graphs.saved(batch_size=2)}

    job = server.get(f"/api/jobs/{server.run(graph, ear)}").json()

    assert (job["outputs_count"], job["preview_output"]["nodeId"]) == (4, "2")


def test_a_failed_job_tells_its_error(server: Server, ear: Ear) -> None:
    name = server.upload(b"no picture at all", f"{graphs.unique()}.png").json()["name"]
    prompt_id = server.run(graphs.loaded(name), ear)

    job = server.get(f"/api/jobs/{prompt_id}").json()

    assert job["status"] == "failed"
    assert job["execution_error"] == server.entry(prompt_id)["status"]["messages"][-1][1]
    assert job["outputs_count"] == 0
    assert "preview_output" not in job


def test_an_interrupted_job_is_cancelled(server: Server, checkpoint: str, ear: Ear) -> None:
    prompt_id = server.queue(graphs.txt2img(checkpoint, steps=9000), ear)
    ear.until("progress", prompt_id)
    server.post("/interrupt", {"prompt_id": prompt_id})
    ear.until_done(prompt_id)

    assert server.get(f"/api/jobs/{prompt_id}").json()["status"] == "cancelled"


@pytest.mark.parametrize("what", ["deleted", "unknown"])
def test_what_was_deleted_is_as_unknown_as_what_never_was(server: Server, busy: str, what: str) -> None:
    prompt_id = str(uuid.uuid4())
    if what == "deleted":
        prompt_id = server.queue(graphs.saved())
        server.post("/queue", {"delete": [prompt_id]})

    response = server.get(f"/api/jobs/{prompt_id}")

    assert (response.status_code, response.json()) == (404, {"error": "Job not found"})


def test_the_newest_come_first_and_page_by_page(server: Server, busy: str) -> None:
    prompts = []
    for _ in range(3):
        prompts.append(server.queue(graphs.saved()))
        time.sleep(0.01)  # create_time counts milliseconds

    everything = listed(server, status="pending", sort_order="asc")
    page = server.get("/api/jobs", status="pending", limit=2, offset=1).json()
    server.post("/queue", {"delete": prompts})

    ids = [job["id"] for job in everything]
    assert ids == prompts
    assert [job["id"] for job in page["jobs"]] == ids[1::-1]
    assert page["pagination"] == {"offset": 1, "limit": 2, "total": 3, "has_more": False}


def test_what_makes_no_sense_is_refused(server: Server) -> None:
    assert "nonsense" in error(server, status="pending,nonsense")
    assert "limit" in error(server, limit=0)
    assert "limit" in error(server, limit="x")
    assert "offset" in error(server, offset="x")
    assert "sort_by" in error(server, sort_by="x")
    assert "sort_order" in error(server, sort_order="x")


@pytest.mark.parametrize("broken", [None, {"workflow": None}, {"workflow": "x"}])
def test_one_prompt_breaks_the_list_for_all(server: Server, busy: str, broken: object) -> None:
    prompt_id = server.queue(graphs.saved(), extra_data={"extra_pnginfo": broken})

    statuses = [
        server.get(path).status_code
        for path in ("/api/jobs", "/api/jobs?status=in_progress,pending", f"/api/jobs/{prompt_id}")
    ]
    others = [
        server.get(path).status_code for path in ("/api/jobs?status=in_progress", f"/api/jobs/{busy}", "/queue")
    ]
    server.post("/queue", {"delete": [prompt_id]})

    assert statuses == [500, 500, 500]
    assert others == [200, 200, 200]
    assert server.get("/api/jobs", status="pending").status_code == 200


@pytest.mark.usefixtures("cancels")
def test_a_waiting_job_can_be_cancelled(server: Server, busy: str, pending: str) -> None:
    response = server.post(f"/api/jobs/{pending}/cancel", {})

    assert (response.status_code, response.json()) == (200, {"cancelled": True})
    assert not server.in_queue(pending)
    assert server.get(f"/api/jobs/{pending}").status_code == 404
    assert server.in_queue(busy)


@pytest.mark.usefixtures("cancels")
def test_a_running_job_can_be_cancelled(server: Server, checkpoint: str, ear: Ear) -> None:
    prompt_id = server.queue(graphs.txt2img(checkpoint, steps=9000), ear)
    ear.until("progress", prompt_id)

    response = server.post("/api/jobs/cancel", {"job_ids": [str(uuid.uuid4()), prompt_id]})
    ear.until("execution_interrupted", prompt_id)

    assert (response.status_code, response.json()) == (200, {"cancelled": True})


@pytest.mark.usefixtures("cancels")
def test_there_is_nothing_to_cancel_of_what_has_ended_or_never_was(server: Server, ear: Ear) -> None:
    for prompt_id in (server.run(graphs.saved(), ear), str(uuid.uuid4()), "x"):
        response = server.post(f"/api/jobs/{prompt_id}/cancel", {})
        assert (response.status_code, response.json()) == (200, {"cancelled": False})


@pytest.mark.usefixtures("cancels")
@pytest.mark.parametrize("body", [{}, {"job_ids": "x"}, {"job_ids": ["x", 5]}, []])
def test_a_list_of_jobs_to_cancel_must_be_one_of_uuids(server: Server, body: object) -> None:
    response = server.post("/api/jobs/cancel", body)

    assert response.status_code == 400
    assert "job_ids" in response.json()["error"]
