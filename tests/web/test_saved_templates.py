"""Templates as ComfyUI's editor saved them: what they are depends on the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from comfybridge.workflow import unconverted
from tests.web.answers import failure, success
from tests.web.policies import KEYS, SHOP
from tests.web.saved_files import NEWER, OLDER, batch, in_subgraph, of_unknown_pack, picture, queued
from tests.workflow.editor.drawn import empty_image, file, save_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workflows").mkdir()
    return tmp_path / "workflows"


@pytest.fixture
def api(make_app: Callable[..., Flask], folder: Path) -> FlaskClient:
    return make_app(workflows_dir=folder).test_client()


@pytest.fixture
def put(folder: Path) -> Callable[..., None]:
    """Puts a template into the folder."""

    def write(name: str, saved: Any, parameters: str = "") -> None:
        (folder / f"{name}.json").write_text(json.dumps(saved))
        if parameters:
            (folder / f"{name}.yaml").write_text(parameters)

    return write


def listed(api: FlaskClient, kind: str) -> dict[str, str]:
    return {each["name"]: each.get("error", "") for each in api.get("/workflows").get_json()[kind]}


def test_it_is_a_template_like_others(api: FlaskClient, sim: Simulator, put: Callable[..., None]) -> None:
    put("plain", picture())
    (summary,) = api.get("/workflows").get_json()["workflows"]
    assert summary == {
        "name": "plain",
        "description": "",
        "parameters": ["width", "height", "batch_size"],
        "tasks": [],
        "makes": ["png"],
    }
    properties = api.get("/workflows/plain").get_json()["parameters"]["properties"]
    assert (properties["width"]["default"], properties["width"]["maximum"]) == (64, 16384)
    body = success(api.post("/generate", json={"workflow": "plain", "width": 32}))
    assert body["params"] == {"width": 32, "height": 64, "batch_size": 1}
    assert queued(sim)[1]["extra_pnginfo"]["workflow"] == picture()


def test_its_parameter_file_names_nodes_by_ids_of_the_prompt_or_by_title(
    api: FlaskClient, sim: Simulator, put: Callable[..., None]
) -> None:
    put("inner", in_subgraph(), 'parameters:\n  breadth: {node: "5:1", input: width}\n')
    put("titled", file([empty_image(1, title="The paper"), save_image(2, 1)], [(1, 1, 0, 2)]),
        "description: Paper.\nparameters:\n  breadth: {node: The paper, input: width, min: 8}\n")  # fmt: skip
    for name in ("inner", "titled"):
        success(api.post("/generate", json={"workflow": name, "params": {"breadth": 24}}))
        assert [each["inputs"]["width"] for each in queued(sim)[0].values() if "width" in each["inputs"]] == [24]


def test_a_title_that_two_nodes_have_is_an_error_that_names_both(api: FlaskClient, put: Callable[..., None]) -> None:
    two = file([empty_image(1, title="Paper"), save_image(2, 1), empty_image(7, title="Paper")], [(1, 1, 0, 2)])
    put("two", two, "parameters:\n  breadth: {node: Paper, input: width}\n")
    said = "two.yaml: parameter breadth names the title Paper, which nodes 1 and 7 have; name one of them by its id."
    assert listed(api, "broken") == {"two": said}
    error = failure(api.post("/generate", json={"workflow": "two"}), 500, "broken_workflow")["error"]
    assert error.startswith("The workflow two is broken: two.yaml")


def test_one_that_no_server_can_run_is_listed_with_what_is_missing(
    api: FlaskClient, put: Callable[..., None]
) -> None:
    put("strange", of_unknown_pack())
    put("plain", picture())
    assert list(listed(api, "workflows")) == ["plain"]
    assert "its pack is odd-pack" in listed(api, "broken")["strange"]
    error = failure(api.post("/generate", json={"workflow": "strange"}), 500, "broken_workflow")["error"]
    assert error.startswith('The workflow strange is broken: Node 7 ("My filter", StrangeNode)')
    failure(api.get("/workflows/strange"), 500, "broken_workflow")


def test_with_several_servers_what_each_lacks_is_told(
    make_app: Callable[..., Flask], sim: Simulator, folder: Path, put: Callable[..., None]
) -> None:
    mixed = batch()
    mixed["nodes"].append({"id": 8, "type": "StrangeNode"})
    put("mixed", mixed)
    with Simulator(version=OLDER) as older:
        api = make_app(comfyui_url=f"{older.url},{sim.url}", workflows_dir=folder).test_client()
        said = listed(api, "broken")["mixed"]
        assert said.startswith(f"ComfyUI at {older.url}: Node 3")
        assert f"ComfyUI at {sim.url}: Node 8 (StrangeNode)" in said


def test_a_server_that_is_down_at_the_start_breaks_nothing(
    api: FlaskClient, sim: Simulator, put: Callable[..., None]
) -> None:
    put("plain", picture())
    sim.kill()
    assert (listed(api, "workflows"), listed(api, "broken")) == ({}, {})
    assert "is read once ComfyUI answers" in listed(api, "unread")["plain"]
    failure(api.post("/generate", json={"workflow": "plain"}), 503, "comfyui_unreachable")
    failure(api.get("/workflows/plain"), 503, "comfyui_unreachable")
    sim.revive()
    assert (list(listed(api, "workflows")), listed(api, "unread")) == (["plain"], {})
    success(api.post("/generate", json={"workflow": "plain"}))


def test_it_is_converted_once_until_its_file_or_the_server_changes(
    api: FlaskClient, sim: Simulator, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    convert = unconverted.conversion
    monkeypatch.setattr(unconverted, "conversion", lambda *asked: made.append(1) or convert(*asked))
    monkeypatch.setattr("comfybridge.workflow.library.SETTLED_AFTER", -1.0)
    put("plain", picture())
    for _ in range(3):
        success(api.post("/generate", json={"workflow": "plain"}))
        api.get("/workflows")
    assert len(made) == 1
    put("plain", in_subgraph())
    success(api.post("/generate", json={"workflow": "plain"}))
    assert len(made) == 2


def test_an_upgraded_server_can_run_more(
    make_app: Callable[..., Flask], sim: Simulator, folder: Path, put: Any
) -> None:
    put("batch", batch())
    sim.version = OLDER
    sim.restart()
    api = make_app(workflows_dir=folder).test_client()
    assert "BatchImagesNode" in listed(api, "broken")["batch"]
    sim.version = NEWER
    sim.restart()
    assert list(listed(api, "workflows")) == ["batch"]
    success(api.post("/generate", json={"workflow": "batch"}))


def test_who_has_only_its_parameters_has_those(
    make_app: Callable[..., Flask], folder: Path, put: Callable[..., None], policy_file: Callable[..., str]
) -> None:
    put("plain", picture())
    put("secret", of_unknown_pack())
    policy = policy_file(shop={"workflows": ["plain"]})
    api = make_app(workflows_dir=folder, api_keys=KEYS, policy_file=policy).test_client()
    shown = api.get("/workflows", headers=SHOP).get_json()
    assert ([each["name"] for each in shown["workflows"]], shown["broken"]) == (["plain"], [])
    success(api.post("/generate", json={"workflow": "plain", "width": 32}, headers=SHOP))
    asked = {"workflow": "plain", "params": {"1.width": 32}}
    error = failure(api.post("/generate", json=asked, headers=SHOP), 403, "forbidden")["error"]
    assert "only the parameters: width, height, batch_size" in error


def test_an_unknown_field_that_is_a_parameter_of_it_is_told_where_to_go(api: FlaskClient, put: Any) -> None:
    put("plain", picture(), "parameters:\n  breadth: {node: 1, input: width}\n")
    error = failure(api.post("/generate", json={"workflow": "plain", "breadth": 5}), 400, "invalid_request")["error"]
    assert 'Put breadth into params: {"params": {"breadth": 5}}.' in error
