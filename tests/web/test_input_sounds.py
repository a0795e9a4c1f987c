"""A sound goes to the parameter that is found for it, as a picture does."""

from __future__ import annotations

import io
import json

from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.graphs import node
from tests.web.answers import failure, success
from tests.web.input_files import b64, sent_graph, stored, wav

GRAPH = {"1": node("LoadAudio", audio="old.wav"), "2": node("SaveAudio", audio=["1", 0], filename_prefix="x")}


def test_a_sound_can_be_given_under_the_name_of_its_parameter(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": GRAPH, "images": {"audio": b64(wav())}}))
    (name,) = stored(sim)
    assert name.endswith(".wav")
    assert sent_graph(sim)["1"]["inputs"]["audio"] == f"comfybridge/{name}"


def test_a_sound_can_come_as_a_part_of_a_form(api: FlaskClient, sim: Simulator) -> None:
    data = {"workflow": json.dumps(GRAPH), "audio": (io.BytesIO(wav()), "a.wav")}
    success(api.post("/generate", data=data))
    assert sent_graph(sim)["1"]["inputs"]["audio"] == f"comfybridge/{stored(sim)[0]}"


def test_a_sound_is_no_file_elsewhere(api: FlaskClient) -> None:
    said = failure(
        api.post("/generate", json={"workflow": GRAPH, "params": {"audio": "../secret.wav"}}), 400, "invalid_request"
    )
    assert "../secret.wav" in said["error"]
