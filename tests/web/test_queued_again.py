"""Streams of events whose prompt is queued again: the bar never runs backwards, and the newest id is told."""

from __future__ import annotations

import json
import re
from typing import Any

from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import success

EVENTS = {"Accept": "text/event-stream"}


def told(stream: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream, each with its data."""
    found = re.findall("^event: (\\w+)\ndata: (.*)", stream, re.MULTILINE)
    return [(name, json.loads(data)) for name, data in found]


def check(events: list[tuple[str, dict[str, Any]]]) -> None:
    """Two prompts were queued, the second of which has the result, and 100 comes once, at the end."""
    queued = [data["prompt_id"] for name, data in events if name == "queued"]
    percents = [data["percent"] for name, data in events if name == "progress"]
    assert len(set(queued)) == len(queued) == 2
    assert (events[-1][0], events[-1][1]["prompt_id"]) == ("result", queued[-1])
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert percents.count(100) == 1


def test_a_picture_that_is_gone_is_made_again(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture(save="PreviewImage")
    success(api.post("/generate", json={"workflow": graph}))
    for each in sim.temp_directory.rglob("*.png"):
        each.unlink()
    events = told(api.post("/generate", json={"workflow": graph}, headers=EVENTS).text)
    check(events)
    assert "PreviewImage" in [data["class_type"] for name, data in events if name == "progress"]


def test_a_prompt_that_was_lost_is_queued_again(api: FlaskClient, sim: Simulator) -> None:
    sim.hold_steps(after=3)
    asked = {"workflow": graphs.txt2img(sim.checkpoints[0], steps=5), "retries": 1}
    pieces = api.post("/generate", json=asked, headers=EVENTS, buffered=False).iter_encoded()
    begun = b""
    while b'"value": 3' not in begun:
        begun += next(pieces)
    sim.restart()
    sim.release()
    check(told((begun + b"".join(pieces)).decode()))
