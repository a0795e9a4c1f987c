"""`GET /models`, `GET /models/FOLDER` and `GET /stats`: what the ComfyUI behind the bridge has."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests.web.answers import failure


def test_models_are_listed_as_comfyui_lists_them(api: FlaskClient, sim: Simulator) -> None:
    folders = api.get("/models").get_json()
    assert folders == requests.get(f"{sim.url}/models", timeout=5).json()
    assert "checkpoints" in folders
    assert api.get("/models/checkpoints").get_json() == sim.checkpoints
    for folder in folders:
        assert api.get(f"/models/{folder}").status_code == 200


@pytest.mark.parametrize("folder", ["nope", "..", "%2e%2e", "a/b", "..%2Fsystem_stats", "checkpoints%3Fx=1", "é"])
def test_an_unknown_folder_is_not_found_and_the_known_ones_are_named(api: FlaskClient, folder: str) -> None:
    assert "checkpoints" in failure(api.get(f"/models/{folder}"), 404, "not_found")["error"]


def test_stats_tell_versions_devices_and_memory(api: FlaskClient, sim: Simulator) -> None:
    (server,) = api.get("/stats").get_json()["servers"]
    assert server["server"] == sim.url
    assert server["system"]["comfyui_version"] == "0.33.0"
    assert server["system"]["python_version"]
    assert server["system"]["ram_total"] > 0
    assert server["devices"][0]["name"] == "ComfyBridge simulator"
    assert server["devices"][0]["vram_free"] > 0


def test_stats_hold_no_path_of_the_server(api: FlaskClient, sim: Simulator) -> None:
    said = requests.get(f"{sim.url}/system_stats", timeout=5).json()
    said["system"]["argv"] = ["/home/me/ComfyUI/main.py", "--output-directory", "/home/me/out"]
    said["system"]["base_directory"] = "/home/me"
    said["devices"][0]["driver_path"] = "/home/me/driver"
    sim.fail_route("/system_stats", status=200, body=json.dumps(said).encode())
    response = api.get("/stats")
    assert response.status_code == 200
    assert "argv" not in response.text
    assert "/home/me" not in response.text


def test_stats_hold_no_password(sim: Simulator) -> None:
    api = create_app(load_settings(comfyui_url=sim.url.replace("http://", "http://me:secret@"))).test_client()
    assert "secret" not in api.get("/stats").text


@pytest.mark.parametrize("said", [{}, {"system": None, "devices": None}, {"system": [], "devices": [1]}])
def test_stats_of_a_server_that_says_little(api: FlaskClient, sim: Simulator, said: dict[str, Any]) -> None:
    sim.fail_route("/system_stats", status=200, body=json.dumps(said).encode())
    response = api.get("/stats")
    assert response.status_code == 200
    assert response.get_json()["servers"][0]["system"] == {}


@pytest.mark.parametrize("said", [b"{}", b"<html>", b"[1]"])
def test_a_list_of_models_that_makes_no_sense_is_said_so(api: FlaskClient, sim: Simulator, said: bytes) -> None:
    sim.fail_route("/models", status=200, body=said, times=2)
    failure(api.get("/models"), 502, "comfyui_error")
    failure(api.get("/models/checkpoints"), 502, "comfyui_error")


@pytest.mark.parametrize("route", ["/models", "/models/checkpoints", "/stats"])
def test_a_comfyui_that_is_not_there_is_said_so(api: FlaskClient, sim: Simulator, route: str) -> None:
    sim.stop()
    response = api.get(route)
    failure(response, 503, "comfyui_unreachable")
    assert int(response.headers["Retry-After"]) > 0
