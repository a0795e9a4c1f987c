"""What a bridge without a ComfyUI tells of those of its agents."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from comfybridge.settings import SettingsError, load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.waiting import until_true

ALIKE = [
    "/models",
    "/models/checkpoints",
    "/workflows",
    "/workflows/txt2img",
    "/sdapi/v1/samplers",
    "/sdapi/v1/schedulers",
    "/sdapi/v1/sd-models",
    "/sdapi/v1/loras",
    "/sdapi/v1/upscalers",
    "/sdapi/v1/embeddings",
    "/sdapi/v1/options",
    "/v1/models",
    "/queue",
    "/health",
    "/ready",
    "/models/nothing",
]


@pytest.mark.parametrize("path", ALIKE)
def test_it_answers_as_a_bridge_beside_the_comfyui(
    api: FlaskClient, sim: Simulator, tmp_path: Path, path: str
) -> None:
    direct = create_app(load_settings(_env_file=None, comfyui_url=sim.url, state_dir=tmp_path / "direct"))
    answers = [client.get(path) for client in (api, direct.test_client())]
    assert answers[0].status_code == answers[1].status_code
    bodies = [each.get_json() for each in answers]
    for each in bodies:
        if isinstance(each, dict):
            each.pop("request_id", None)
    if path == "/v1/models":  # when they were made
        bodies = [[each["id"] for each in body["data"]] for body in bodies]
    assert bodies[0] == bodies[1]


def test_the_figures_name_the_agent(api: FlaskClient, sim: Simulator) -> None:
    body = api.get("/stats").get_json()
    [server] = body["servers"]
    assert (server["server"], server["reachable"]) == (f"gpu-1 ({sim.url})", True)
    assert server["system"]["comfyui_version"] == sim.version
    [agent] = body["agents"]
    assert (agent["name"], agent["slots"]) == ("gpu-1", 1)


def test_the_metrics_count_the_agents(api: FlaskClient) -> None:
    text = api.get("/metrics").get_data(as_text=True)
    assert 'comfybridge_server_up{server="gpu-1 (' in text
    assert "comfybridge_agents 1.0" in text


def test_new_models_are_seen(api: FlaskClient, sim: Simulator) -> None:
    sim.models["checkpoints"].append("new.safetensors")
    assert "new.safetensors" in api.get("/models/checkpoints").get_json()


def test_an_agent_relays_no_more_than_it_should(api: FlaskClient, sim: Simulator) -> None:
    sim.forget_requests()
    refused = api.post("/sdapi/v1/unload-checkpoint")
    assert refused.status_code == 502
    assert "agents" in refused.get_data(as_text=True)
    assert not [each for each in sim.requests if each.method == "POST"]


def test_automatic1111_clients_see_the_progress_and_can_interrupt(api: FlaskClient, sim: Simulator) -> None:
    sim.hold_steps(3)
    statuses: list[int] = []
    body = {"prompt": "a lighthouse", "steps": 8, "width": 64, "height": 64}

    def draw() -> None:
        statuses.append(api.post("/sdapi/v1/txt2img", json=body).status_code)

    thread = threading.Thread(target=draw)
    thread.start()
    until_true(lambda: api.get("/sdapi/v1/progress").get_json()["state"]["sampling_step"] >= 3)
    told = api.get("/sdapi/v1/progress").get_json()
    assert 0 < told["progress"] < 1
    assert (told["state"]["sampling_steps"], told["state"]["job_count"]) == (8, 1)
    assert told["current_image"]
    assert api.post("/sdapi/v1/interrupt").status_code == 200
    until_true(lambda: any(each.path == "/interrupt" for each in sim.requests))
    sim.release()
    thread.join()
    assert len(statuses) == 1
    until_true(lambda: api.get("/sdapi/v1/progress").get_json()["progress"] == 0)


def test_a_fleet_without_jobs_makes_no_sense() -> None:
    with pytest.raises(SettingsError, match="COMFYBRIDGE_JOBS is false"):
        load_settings(_env_file=None, engine="nats://127.0.0.1:1", jobs=False)


def test_requests_of_the_editors_format_are_read_with_the_help_of_an_agent(api: FlaskClient) -> None:
    response = api.post("/convert", json={"workflow": graphs.picture()})
    assert response.status_code == 200
