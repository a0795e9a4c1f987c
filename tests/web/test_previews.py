"""Previews: made for those who follow the events, and for nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge import Bridge, GenerationRequest, load_settings
from comfybridge.comfyui import events
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import success

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A ComfyUI as it is started without options: it makes no previews by itself."""
    with Simulator(step_seconds=0, previews=False) as simulator:
        yield simulator


def body(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return {"workflow": graphs.txt2img(sim.checkpoints[0], steps=4), **fields}


def asked_for(sim: Simulator) -> list[Any]:
    """The preview methods of all prompts that were queued."""
    sent = [each.body for each in sim.requests if each.path.endswith("/prompt") and each.method == "POST"]
    return [each["extra_data"].get("preview_method") for each in sent]


def previews(api: FlaskClient, asked: dict[str, Any], **headers: str) -> int:
    """How many previews an event stream has."""
    answer = api.post("/generate", json=asked, headers={**EVENTS, **headers})
    assert answer.status_code == 200
    names = re.findall("^event: (\\w+)", answer.text, re.MULTILINE)
    assert names[-1] == "result"
    return names.count("preview")


@pytest.mark.parametrize("wait", ["hub", "websocket"])
def test_who_follows_the_events_gets_previews(api: FlaskClient, sim: Simulator, wait: str) -> None:
    assert previews(api, body(sim, wait=wait)) == 4
    assert asked_for(sim) == ["auto"]


@pytest.mark.parametrize("fields", [{}, {"keepalive": 5}, {"wait": "poll"}, {"wait": "websocket"}])
def test_who_waits_for_the_picture_costs_no_previews(
    api: FlaskClient, sim: Simulator, fields: dict[str, Any]
) -> None:
    assert api.post("/generate", json=body(sim, **fields)).get_json()["status"] == "success"
    assert asked_for(sim) == ["none"]
    assert not [each for each in sim.requests if each.path.endswith("/system_stats")]


def test_events_that_can_not_bring_previews_cost_none(api: FlaskClient, sim: Simulator) -> None:
    assert previews(api, body(sim, wait="poll")) == 0
    assert asked_for(sim) == ["none"]


@pytest.mark.parametrize("method", ["none", "taesd", "default", None, 7])
@pytest.mark.parametrize("headers", [EVENTS, {}], ids=["events", "json"])
def test_the_caller_s_own_method_stays(
    api: FlaskClient, sim: Simulator, method: Any, headers: dict[str, str]
) -> None:
    asked = body(sim, extra_data={"preview_method": method, "note": "mine"})
    assert api.post("/generate", json=asked, headers=headers).status_code == 200
    assert asked_for(sim) == [method]


def test_what_else_is_in_extra_data_stays(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json=body(sim, extra_data={"note": "mine"})))
    (entry,) = sim.history.values()
    extra_data = entry["prompt"][3]
    assert extra_data["note"] == "mine"
    assert extra_data["preview_method"] == "none"


def test_a_comfyui_that_knows_of_no_methods_does_as_it_was_started() -> None:
    for is_started_with, count in ((True, 4), (False, 0)):
        with Simulator(step_seconds=0, previews=is_started_with, version="0.3.64") as old:
            heard: list[events.Event] = []
            with Bridge(load_settings(comfyui_url=old.url)) as bridge:
                bridge.generate(GenerationRequest(graph=graphs.txt2img(old.checkpoints[0], steps=4)), heard.append)
            assert len([each for each in heard if isinstance(each, events.Image)]) == count


@pytest.mark.parametrize(
    ("command_line", "method"),
    [
        (["main.py", "--preview-method", "taesd"], "default"),
        (["main.py", "--preview-method=latent2rgb"], "default"),
        (["main.py", "--preview-method", "none"], "auto"),
        (["main.py", "--cpu"], "auto"),
    ],
)
def test_the_method_that_a_comfyui_was_started_with_stays(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch, command_line: list[str], method: str
) -> None:
    monkeypatch.setattr(ComfyUIClient, "command_line", lambda *_: command_line)
    previews(api, body(sim))
    assert asked_for(sim) == [method]


def test_a_comfyui_that_does_not_tell_how_it_was_started_is_asked_for_previews_all_the_same(
    api: FlaskClient, sim: Simulator
) -> None:
    sim.fail_route("/system_stats", times=None, status=500)
    assert previews(api, body(sim)) == 4


def test_the_same_request_may_be_followed_or_not(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app().test_client()
    asked = body(sim)
    first = api.post("/generate", json=asked, headers={"Idempotency-Key": "one"})
    again = api.post("/generate", json=asked, headers={"Idempotency-Key": "one", **EVENTS})
    assert success(first)["prompt_id"] == again.headers["X-Prompt-Id"]
    assert again.text.endswith("\n\n")
    assert asked_for(sim) == ["none"]


def test_a_bridge_asks_for_previews_only_where_somebody_listens(sim: Simulator) -> None:
    heard: list[events.Event] = []
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        bridge.generate(GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0], steps=4)), heard.append)
        bridge.generate(GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0], steps=4)))
    assert len([each for each in heard if isinstance(each, events.Image)]) == 4
    assert asked_for(sim) == ["auto", "none"]


@pytest.mark.parametrize("first_listens", [True, False])
def test_listening_makes_no_other_request_of_one_with_a_key(sim: Simulator, first_listens: bool) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    ids = set()
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        for listens in (first_listens, not first_listens):
            request = GenerationRequest(graph=graph, idempotency_key="one")
            ids.add(bridge.generate(request, (lambda event: None) if listens else None).prompt_id)
    assert len(ids) == 1


def test_a_prompt_that_is_queued_again_is_still_followed(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    with api.post("/generate", json=body(sim, retries=1), headers=EVENTS, buffered=False) as answer:
        pieces = answer.iter_encoded()
        next(pieces)
        sim.wait_until_running()
        sim.restart()
        sim.release()
        text = b"".join(pieces).decode()
    assert json.loads(text.rpartition("\ndata: ")[2])["status"] == "success"
    assert asked_for(sim) == ["auto", "auto"]
    assert "event: preview" in text
