"""Prompts belong to the API key that queued them."""

from __future__ import annotations

import json
from collections.abc import Callable

import requests
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.keys import KEYS, PICTURE, PRESS, SHOP


def kept(api: FlaskClient, headers: dict[str, str]) -> str:
    """The id of a prompt that waits or runs in a simulator that is held."""
    asked = {"workflow": graphs.picture(), "timeout": 0.2, "on_timeout": "keep"}
    prompt_id: str = failure(api.post("/generate", json=asked, headers=headers), 504, "timeout")["prompt_id"]
    return prompt_id


def as_unknown(api: FlaskClient, call: str, prompt_id: str, headers: dict[str, str]) -> None:
    """It must be answered as for a prompt that never was."""
    asked, never = (
        failure(api.open(f"{path}/{each}", method=method, headers=headers), 404, "unknown_prompt")
        for method, path in [call.split(" ")]
        for each in (prompt_id, "never-was")
    )
    assert asked["error"] == never["error"]
    assert asked.keys() == never.keys()


def test_a_key_gets_its_own_prompt_and_no_other(locked: FlaskClient) -> None:
    prompt_id = success(locked.post("/generate", json=PICTURE, headers=SHOP))["prompt_id"]
    assert success(locked.get(f"/results/{prompt_id}", headers=SHOP))["images"]
    assert "finished" in failure(locked.post(f"/cancel/{prompt_id}", headers=SHOP), 404, "unknown_prompt")["error"]
    as_unknown(locked, "GET /results", prompt_id, PRESS)
    as_unknown(locked, "POST /cancel", prompt_id, PRESS)


def test_what_failed_is_told_to_nobody_else_either(locked: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("EmptyImage", "no memory")
    asked = {"workflow": graphs.picture()}
    prompt_id = failure(locked.post("/generate", json=asked, headers=SHOP), 500, "execution_failed")["prompt_id"]
    failure(locked.get(f"/results/{prompt_id}", headers=SHOP), 500, "execution_failed")
    as_unknown(locked, "GET /results", prompt_id, PRESS)


def test_a_key_sees_and_cancels_what_it_has_queued_itself(locked: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    running = kept(locked, PRESS)
    sim.wait_until_running()
    mine, theirs = kept(locked, SHOP), kept(locked, PRESS)
    body = locked.get("/queue", headers=SHOP).get_json()
    assert body["running"] == []
    assert [(each["prompt_id"], each["position"]) for each in body["pending"]] == [(mine, 1)]
    body = locked.get("/queue", headers=PRESS).get_json()
    assert [each["prompt_id"] for each in body["running"]] == [running]
    assert [(each["prompt_id"], each["position"]) for each in body["pending"]] == [(theirs, 2)]  # after another's
    assert locked.get(f"/results/{mine}", headers=SHOP).status_code == 202
    for prompt_id in (running, theirs):
        as_unknown(locked, "GET /results", prompt_id, SHOP)
        as_unknown(locked, "POST /cancel", prompt_id, SHOP)
    assert locked.post(f"/cancel/{mine}", headers=SHOP).get_json()["was"] == "pending"
    assert locked.post(f"/cancel/{running}", headers=PRESS).get_json()["was"] == "running"
    sim.release()


def test_what_strangers_queued_is_seen_by_callers_without_keys_only(
    locked: FlaskClient, api: FlaskClient, sim: Simulator
) -> None:
    sim.hold()
    answer = requests.post(f"{sim.url}/prompt", json={"prompt": graphs.picture()}, timeout=5)
    prompt_id = answer.json()["prompt_id"]
    sim.wait_until_running()
    assert locked.get("/queue", headers=SHOP).get_json() == {"running": [], "pending": []}
    as_unknown(locked, "GET /results", prompt_id, SHOP)
    as_unknown(locked, "POST /cancel", prompt_id, SHOP)
    assert api.get(f"/results/{prompt_id}").status_code == 202
    sim.release()
    sim.wait_until_idle()
    as_unknown(locked, "GET /results", prompt_id, SHOP)
    success(api.get(f"/results/{prompt_id}"))


def test_a_key_may_be_given_everybody_s_prompts(
    make_app: Callable[..., Flask], sim: Simulator, policy_file: Callable[..., str]
) -> None:
    settings = {"api_keys": KEYS, "policy_file": policy_file(press={"all_prompts": True})}
    api = make_app(**settings).test_client()
    sim.hold()
    prompt_id = kept(api, SHOP)
    sim.wait_until_running()
    assert [each["prompt_id"] for each in api.get("/queue", headers=PRESS).get_json()["running"]] == [prompt_id]
    assert api.get(f"/results/{prompt_id}", headers=PRESS).status_code == 202
    assert api.post(f"/cancel/{prompt_id}", headers=PRESS).get_json()["was"] == "running"
    sim.release()


def test_a_caller_can_t_say_whose_a_prompt_is(locked: FlaskClient) -> None:
    asked = {"workflow": graphs.picture(), "extra_data": {"comfybridge": json.dumps({"owner": "press"})}}
    prompt_id = success(locked.post("/generate", json=asked, headers=SHOP))["prompt_id"]
    success(locked.get(f"/results/{prompt_id}", headers=SHOP))
    as_unknown(locked, "GET /results", prompt_id, PRESS)


def test_a_key_remains_the_same_when_the_bridge_starts_again(make_app: Callable[..., Flask]) -> None:
    first, second = (make_app(api_keys=KEYS).test_client() for _ in range(2))
    prompt_id = success(first.post("/generate", json=PICTURE, headers=SHOP))["prompt_id"]
    success(second.get(f"/results/{prompt_id}", headers=SHOP))
    as_unknown(second, "GET /results", prompt_id, PRESS)


def test_a_history_that_makes_no_sense_is_nobody_s(locked: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/history", 200, b'{"odd": {"prompt": 3, "outputs": {}}}', times=None)
    failure(locked.get("/results/odd", headers=SHOP), 404, "unknown_prompt")
