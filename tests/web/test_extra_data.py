"""What is handed to ComfyUI beside a graph."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success

SECRETS = {"auth_token_comfy_org": "token", "api_key_comfy_org": "key"}


@pytest.mark.parametrize(
    ("info", "what"),
    [
        (None, "extra_pnginfo is null"),
        ([], "extra_pnginfo is a list"),
        ("{}", "extra_pnginfo is the text"),
        (False, "extra_pnginfo is false"),
        ({"workflow": None}, "extra_pnginfo.workflow is null"),
        ({"workflow": "{}"}, "extra_pnginfo.workflow is the text"),
        ({"workflow": []}, "extra_pnginfo.workflow is a list"),
    ],
)
def test_an_extra_pnginfo_that_breaks_the_job_list_is_refused(
    api: FlaskClient, sim: Simulator, info: Any, what: str
) -> None:
    """ComfyUI takes it, and answers 500 to everybody who asks for its jobs until it has forgotten that prompt."""
    asked = {"workflow": graphs.picture(), "extra_data": {"extra_pnginfo": info}}

    body = failure(api.post("/generate", json=asked), 400, "invalid_request")

    assert body["error"].startswith(f"extra_data: {what}")
    assert body["error"].endswith("it must be an object, or be left out.")
    assert not [each for each in sim.requests if each.path == "/prompt"]


@pytest.mark.parametrize("info", [{}, {"workflow": {}}, {"workflow": {"id": 5}}, {"note": None}])
def test_other_extra_pnginfo_is_taken(api: FlaskClient, info: dict[str, Any]) -> None:
    success(api.post("/generate", json={"workflow": graphs.picture(), "extra_data": {"extra_pnginfo": info}}))


def test_a_prompt_that_is_queued_again_has_its_keys_for_partner_nodes_again(
    api: FlaskClient, sim: Simulator, impatient: None
) -> None:
    """ComfyUI tells nobody of them, so that they can only come from the request."""
    sim.hold()
    asked = {"workflow": graphs.picture(), "retries": 1, "extra_data": {**SECRETS, "note": 1}}
    answers = []
    caller = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked)))
    caller.start()
    sim.wait_until_running()
    sim.restart()
    sim.release()
    caller.join(20)

    success(answers[0])
    queued = [each.body["extra_data"] for each in sim.requests if each.path == "/prompt" and each.method == "POST"]
    assert len(queued) == 2
    for extra_data in queued:
        assert extra_data.items() >= {**SECRETS, "note": 1}.items()


def test_a_meta_that_is_no_object_is_left_out(api: FlaskClient, sim: Simulator) -> None:
    """ComfyUI fails over it where it looks for a node's title."""
    graph = graphs.picture()
    graph["1"]["_meta"] = None
    graph["2"] = {**graph["2"], "class_type": "NoSuchNode", "_meta": ["x"]}

    body = failure(api.post("/generate", json={"workflow": graph}), 400, "invalid_workflow")

    assert "node 2: this ComfyUI has no node class 'NoSuchNode'" in body["error"]


@pytest.mark.parametrize("version", ["0.33.0", "0.3.64"])
def test_a_node_class_that_is_not_there_is_named_and_not_its_title(version: str) -> None:
    from comfybridge.settings import load_settings
    from comfybridge.web import create_app

    graph = graphs.picture()
    graph["5"] = {"class_type": "NoSuchNode", "inputs": {}, "_meta": {"title": "My title"}}
    with Simulator(version=version) as sim:
        api = create_app(load_settings(comfyui_url=sim.url)).test_client()

        body = failure(api.post("/generate", json={"workflow": graph}), 400, "invalid_workflow")

    assert body["error"] == (
        "ComfyUI refused the graph: node 5: this ComfyUI has no node class 'NoSuchNode' (is a custom node missing?)."
    )


def test_a_retired_class_is_replaced_by_comfyui_though_its_node_has_no_meta(api: FlaskClient, sim: Simulator) -> None:
    """ComfyUI 0.33 answers 500 to such a graph as it is."""
    graph = graphs.picture()
    graph["3"] = {"class_type": "Preview3DAnimation", "inputs": {"model_file": "x.glb"}}

    body = success(api.post("/generate", json={"workflow": graph}))

    assert "node 3 (Preview3D)" in body["warnings"][0]
    assert [each.body["prompt"]["3"].get("_meta") for each in sim.requests if each.path == "/prompt"] == [None, {}]
