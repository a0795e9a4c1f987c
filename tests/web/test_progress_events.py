"""The progress and the time left, as event streams tell of them and the command line shows them."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any

import pytest
import responses
from flask.testing import FlaskClient

from comfybridge.cli.main import main
from comfybridge.simulator import Simulator
from comfybridge.web.answers import streaming
from tests import graphs
from tests.web.answers import success

EVENTS = {"Accept": "text/event-stream"}


def told(api: FlaskClient, graph: dict[str, Any], **fields: Any) -> dict[str, list[dict[str, Any]]]:
    """The data of an event stream, by the names of the events."""
    answer = api.post("/generate", json={"workflow": graph, **fields}, headers=EVENTS)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, data in re.findall("^event: (\\w+)\ndata: (.*)", answer.text, re.MULTILINE):
        found.setdefault(name, []).append(json.loads(data))
    return found


def test_the_steps_of_a_sampler_fill_the_bar(api: FlaskClient, sim: Simulator) -> None:
    progress = told(api, graphs.txt2img(sim.checkpoints[0], steps=40))["progress"]
    sampling = [each["percent"] for each in progress if each["class_type"] == "KSampler"]
    assert sampling[0] < 10
    assert sampling[20] == pytest.approx(50, abs=5)
    assert sampling[-1] > 90
    assert [each["percent"] for each in progress].count(100) == 1
    assert progress[-1]["percent"] == 100
    assert progress[-1]["eta_seconds"] == 0


def test_nodes_in_the_cache_leave_the_bar_to_the_sampler(api: FlaskClient, sim: Simulator) -> None:
    for seed in range(2):
        progress = told(api, graphs.txt2img(sim.checkpoints[0], steps=40, seed=seed))["progress"]
    first = progress[0]
    assert first["class_type"] == "KSampler"
    assert first["percent"] == pytest.approx(100 * first["value"] / first["max"], abs=5)


@pytest.mark.parametrize("listens", [True, False])
def test_earlier_runs_teach_whoever_asked_for_them(api: FlaskClient, sim: Simulator, listens: bool) -> None:
    sim.step_seconds = 0.02
    first, second = (graphs.txt2img(sim.checkpoints[0], steps=20, seed=seed) for seed in range(2))
    if listens:
        before = told(api, first)
        assert "eta_seconds" not in before["queued"][0]
        assert "eta_seconds" not in before["progress"][0]
    else:
        success(api.post("/generate", json={"workflow": first}))
    after = told(api, second)
    assert after["queued"][0]["eta_seconds"] >= 0.4
    etas = [each["eta_seconds"] for each in after["progress"]]
    assert etas[0] >= 0.4
    assert etas[-1] == 0


def test_a_prompt_that_waits_is_told_how_long_those_before_it_will_take(api: FlaskClient, sim: Simulator) -> None:
    sim.step_seconds = 0.02
    for seed in range(2):
        alone = told(api, graphs.txt2img(sim.checkpoints[0], steps=20, seed=seed))["queued"][0]
    sim.hold()
    graph = graphs.txt2img(sim.checkpoints[0], steps=20)
    first = api.post("/generate", json={"workflow": graph}, headers=EVENTS, buffered=False)
    next(first.iter_encoded())
    sim.wait_until_running()
    graph = graphs.txt2img(sim.checkpoints[0], steps=20)
    second = api.post("/generate", json={"workflow": graph}, headers=EVENTS, buffered=False)
    pieces = second.iter_encoded()
    while b"event: queued" not in (piece := next(pieces)):
        pass
    queued = json.loads(piece.decode().partition("data: ")[2])
    sim.release()
    assert b"event: result" in b"".join(pieces)
    first.close()
    second.close()
    assert queued["position"] == 1
    assert queued["eta_seconds"] > alone["eta_seconds"]


def test_the_bar_moves_while_a_node_says_nothing(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STILL_SECONDS", 0.01)
    sim.step_seconds = 0.5
    for seed in range(2):
        progress = told(api, graphs.txt2img(sim.checkpoints[0], steps=2, seed=seed))["progress"]
    first_step = [each["percent"] for each in progress if (each["class_type"], each["value"]) == ("KSampler", 0)]
    assert len(first_step) > 3
    assert first_step == sorted(first_step)
    assert first_step[-1] > 20


def test_an_estimate_is_nothing_that_polling_can_give(api: FlaskClient, sim: Simulator) -> None:
    found = told(api, graphs.txt2img(sim.checkpoints[0]), wait="poll")
    assert "progress" not in found
    assert found["result"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ELSEWHERE = "http://bridge.example:8189"
RESULT = {"outputs": [], "images": [], "seed": 7, "warnings": []}


@pytest.mark.parametrize(
    ("eta", "shown"),
    [
        ({"eta_seconds": 11.2}, "57% KSampler 3/20, 12 s left"),
        ({"eta_seconds": 185}, "57% KSampler 3/20, 3:05 left"),
        ({"eta_seconds": 3750}, "57% KSampler 3/20, 1:02:30 left"),
        ({"eta_seconds": None}, "57% KSampler 3/20 "),
        ({"eta_seconds": "soon"}, "57% KSampler 3/20 "),
        ({}, "57% KSampler 3/20 "),
    ],
)
def test_the_command_line_shows_the_time_left(
    monkeypatch: pytest.MonkeyPatch, eta: dict[str, Any], shown: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = {"percent": 57.9, "node_id": "3", "class_type": "KSampler", "value": 3, "max": 20, **eta}
    body = f"event: progress\ndata: {json.dumps(progress)}\n\nevent: result\ndata: {json.dumps(RESULT)}\n\n"
    with responses.RequestsMock() as elsewhere:
        elsewhere.post(f"{ELSEWHERE}/generate", body=body, content_type="text/event-stream")
        assert main(["generate", "x", "--url", ELSEWHERE]) == 0
    assert shown in terminal.getvalue()
    assert len(terminal.getvalue().split("\r")[1]) <= len(terminal.getvalue().split("\r")[2])  # nothing remains


def test_the_command_line_s_own_bridge_tells_the_time_left_too(
    monkeypatch: pytest.MonkeyPatch, sim: Simulator, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    sim.step_seconds = 0.01
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["generate", "x", "-p", "width=64", "-p", "height=64", "-o", "a.png", "--comfyui-url", sim.url]) == 0
    assert re.search(r"KSampler \d+/20, 1 s left", terminal.getvalue())
