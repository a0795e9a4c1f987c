"""A ComfyUI before 0.3.45, which names prompts itself, is refused."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient

from comfybridge.serving.announcement import announce
from comfybridge.settings import load_settings
from comfybridge.web import create_app
from tests import graphs
from tests.comfyui.exchange import Exchange, reply
from tests.known_ids import queued_as
from tests.media.pictures import drawn, encoded
from tests.web.answers import failure, success

OURS, ITS_OWN = "ours", "its own"
ENTRY = {
    "prompt": [0, OURS, graphs.picture(), {}, ["2"]],
    "outputs": {"2": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}},
    "status": {"status_str": "success", "completed": True, "messages": []},
}


def api_for(comfyui: Exchange) -> FlaskClient:
    node = {"SaveImage": {"output_node": True, "input": {"required": {"images": ["IMAGE"]}}}}
    comfyui.get("/object_info/SaveImage", json_body=node)
    return create_app(load_settings(comfyui_url=comfyui.url, wait="poll")).test_client()


def queue_under(comfyui: Exchange, prompt_id: str) -> None:
    comfyui.post("/prompt", json_body={"prompt_id": prompt_id, "number": 0, "node_errors": {}})


def say_version(comfyui: Exchange, *versions: str | None) -> None:
    systems = [{} if version is None else {"comfyui_version": version} for version in versions]
    comfyui.on("GET", "/system_stats", *(reply(json_body={"system": each}) for each in systems))


def asked(comfyui: Exchange, method: str, path: str) -> list[str]:
    return [each.body.decode() for each in comfyui.requests if (each.method, each.path) == (method, path)]


def test_it_is_refused_until_it_is_upgraded() -> None:
    body = {"workflow": graphs.picture()}
    with Exchange() as comfyui, queued_as(OURS):
        api = api_for(comfyui)
        queue_under(comfyui, ITS_OWN)
        say_version(comfyui, "0.3.44", "0.3.44", "0.3.45")
        comfyui.post("/queue")
        for _ in range(2):
            said = failure(api.post("/generate", json=body), 502, "comfyui_error")
            assert "its version is 0.3.44, and the bridge needs 0.3.45 or later" in said["error"]
        assert len(asked(comfyui, "POST", "/prompt")) == 1  # once that is known, nothing more is queued there
        assert [json.loads(each) for each in asked(comfyui, "POST", "/queue")] == [{"delete": [ITS_OWN]}]
        queue_under(comfyui, OURS)
        comfyui.get(f"/history/{OURS}", json_body={OURS: ENTRY})
        comfyui.get("/view", encoded(drawn()))
        for _ in range(2):
            assert success(api.post("/generate", json=body))["images"]
        assert len(asked(comfyui, "GET", "/system_stats")) == 3


def test_one_that_does_not_know_its_version_is_older_still() -> None:
    with Exchange() as comfyui, queued_as(OURS):
        api = api_for(comfyui)
        queue_under(comfyui, ITS_OWN)
        say_version(comfyui, None)
        comfyui.post("/queue")
        said = failure(api.post("/generate", json={"workflow": graphs.picture()}), 502, "comfyui_error")
        assert "its version is unknown, and the bridge needs 0.3.45 or later" in said["error"]


def test_one_that_is_new_enough_and_answers_of_another_prompt_is_not_called_old() -> None:
    with Exchange() as comfyui, queued_as(OURS):
        api = api_for(comfyui)
        queue_under(comfyui, ITS_OWN)
        say_version(comfyui, "0.33.0")
        comfyui.post("/queue")
        said = failure(api.post("/generate", json={"workflow": graphs.picture()}), 502, "comfyui_error")
        assert "is about another prompt" in said["error"]


def test_the_log_says_so_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    with Exchange() as comfyui:
        say_version(comfyui, "0.3.44")
        announce(create_app(load_settings(comfyui_url=comfyui.url)), [("127.0.0.1", 8189)])
    assert "its version is 0.3.44, and the bridge needs 0.3.45 or later" in caplog.text
