"""Files of blocking requests on their way from agents, when more than one has run the job."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Sequence

import pytest
from PIL import Image

from comfybridge.engine.engine import Engine
from comfybridge.jobs.live_files import send_small
from comfybridge.request import Output
from comfybridge.simulator import Simulator
from tests.jobs.fleets import SmallFleet
from tests.waiting import SECONDS

LEASE = 1.0


def test_a_file_of_an_agent_that_died_is_not_taken_for_that_of_the_next(
    fleet: SmallFleet, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first agent dies once it has sent its picture; the second, with another seed, waits to be asked."""
    api, has_sent = fleet.bridge(), threading.Event()
    first = fleet.agent(sim, number=1, lease=LEASE)
    fleet.wait_for_agents(api, 1)

    def send_once(outputs: Sequence[Output], inbox: str, engine: Engine) -> None:
        if not has_sent.is_set():
            send_small(outputs, inbox, engine)
            first.leave()
            has_sent.set()
            raise SystemExit

    monkeypatch.setattr("comfybridge.jobs.running.send_small", send_once)
    answers: list[dict[str, object]] = []
    asked = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}
    caller = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked).get_json()))
    caller.start()
    assert has_sent.wait(SECONDS)
    with Simulator(step_seconds=0) as other:
        fleet.agent(other, number=2, lease=LEASE)
        caller.join(SECONDS)
        [answer] = answers
        assert answer["status"] == "success", answer
        assert len(other.history) == 1
    picture = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))  # type: ignore[index]
    seeds = [each["inputs"].get("seed") for each in json.loads(picture.info["prompt"]).values()]
    assert answer["seed"] in seeds
