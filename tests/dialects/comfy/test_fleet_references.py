"""Assets as inputs where agents run the jobs, with the rights that `engine-config` gives them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from comfybridge.simulator import Simulator
from tests.dialects.comfy.asset_calls import colors, ended, png, reference, refused, saving, submit, upload, uploads
from tests.graphs import node, picture, txt2img
from tests.jobs.fleets import NatsServer, SmallFleet
from tests.waiting import until_true
from tests.web.jobs import queued_at


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def fleet(tmp_path: Path, server: NatsServer) -> Iterator[SmallFleet]:
    with closing(SmallFleet(tmp_path, server)) as fleet:
        yield fleet


@pytest.fixture
def second() -> Iterator[Simulator]:
    with Simulator(step_seconds=0) as simulator:
        yield simulator


def test_uploads_and_outputs_go_to_the_agent_that_runs_a_job(
    fleet: SmallFleet, server: NatsServer, sim: Simulator, second: Simulator
) -> None:
    api = fleet.bridge()
    app = api.application
    agent = fleet.agent(sim)
    fleet.wait_for_agents(api, 1)
    uploaded = upload(api, png((70, 80, 90)))
    first = ended(app, submit(api, saving(reference(uploaded), reference(uploaded))))
    assert colors(app, first) == [(70, 80, 90)] * 2
    assert uploads(sim) == 1
    agent.leave()
    fleet.agent(second, number=2)
    fleet.wait_for_agents(api, 1)

    for asset_id in uploaded, first["outputs"][0]["id"], first["outputs"][0]["id"]:
        assert colors(app, ended(app, submit(api, saving(reference(asset_id))))) == [(70, 80, 90)]

    assert uploads(second) == 2
    assert len(queued_at(second)) == 3
    assert server.violations == []
    engine = api.application.extensions["comfybridge.jobs"].parts().engine
    upload_blob = f"comfybridge.file.in.{uploaded}.in-0.0"
    until_true(lambda: engine.subjects("COMFYBRIDGE_FILES", "comfybridge.file.in.>") == [upload_blob])


def test_an_upload_that_a_job_waits_for_is_not_deleted(fleet: SmallFleet, sim: Simulator) -> None:
    api = fleet.bridge()
    asset_id = upload(api, png((1, 2, 3)))
    other = upload(api, png((1, 2, 3)), "other.png")
    job_id = submit(api, saving(reference(asset_id)))
    assert api.delete(f"/api/v2/assets/{other}").status_code == 204  # its bytes stay
    refused(api.delete(f"/api/v2/assets/{asset_id}"), 409, "asset_in_use")
    fleet.agent(sim)
    assert colors(api.application, ended(api.application, job_id)) == [(1, 2, 3)]
    assert api.delete(f"/api/v2/assets/{asset_id}").status_code == 204


def test_a_file_that_is_sent_is_no_model_that_an_agent_must_have(fleet: SmallFleet, sim: Simulator) -> None:
    api = fleet.bridge()
    fleet.agent(sim)
    fleet.wait_for_agents(api, 1)
    graph = txt2img("any.safetensors")
    graph["4"]["inputs"]["ckpt_name"] = reference(upload(api, b"weights", "own.safetensors"))
    job = ended(api.application, submit(api, graph))  # instead of waiting for an agent that has it
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_workflow")


def test_a_key_for_services_reaches_the_agent_and_no_disk(
    fleet: SmallFleet, server: NatsServer, sim: Simulator, tmp_path: Path
) -> None:
    api = fleet.bridge()
    key = "comfyui-51c0aa7e"
    job_id = submit(api, picture(), extra_data={"api_key_comfy_org": key})
    server.close()  # what is in its buffers goes to the disk
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    server.start()  # and what is in memory is lost
    fleet.agent(sim)
    lost = ended(api.application, job_id)
    assert lost["status"] == "failed"
    assert "submit the job again" in lost["error"]["message"]
    job = ended(api.application, submit(api, picture(), extra_data={"api_key_comfy_org": key}))
    assert job["status"] == "succeeded", job
    assert [each.body["extra_data"]["api_key_comfy_org"] for each in queued_at(sim)] == [key]
    assert server.violations == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def test_a_job_that_no_agent_can_run_says_why(fleet: SmallFleet, sim: Simulator) -> None:
    api = fleet.bridge()
    job_id = submit(api, picture())

    def progress() -> Any:
        return api.get(f"/api/v2/jobs/{job_id}").get_json()["progress"]

    until_true(lambda: progress() is not None)
    assert (progress()["value"], progress()["message"]) == (
        0.0,
        "No agent is connected to the engine, so no ComfyUI can be reached.",
    )
    fleet.agent(sim)
    assert ended(api.application, job_id)["progress"] is None
    other = submit(api, {**picture(), "1": node("Nothing")})
    until_true(lambda: api.get(f"/api/v2/jobs/{other}").get_json()["progress"] is not None)
    said = api.get(f"/api/v2/jobs/{other}").get_json()["progress"]["message"]
    assert said == "No agent has the node class Nothing."


def test_a_blocking_request_is_no_job_of_this_api(fleet: SmallFleet, sim: Simulator) -> None:
    """Its files go with its answer, so its outputs would be assets that do not exist."""
    api = fleet.bridge()
    fleet.agent(sim)
    fleet.wait_for_agents(api, 1)
    prompt_id = api.post("/generate", json={"workflow": picture()}).get_json()["prompt_id"]
    for method, path in (("GET", ""), ("GET", "/workflow"), ("GET", "/events"), ("POST", "/cancel")):
        refused(api.open(f"/api/v2/jobs/{prompt_id}{path}", method=method), 404, "not_found")
    assert api.get(f"/results/{prompt_id}").get_json()["status"] == "success"
