"""The graphs of the recordings, run again on the simulator: the same messages must come, with the same fields."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfybridge.simulator import Simulator
from comfybridge.simulator.version import OLDEST
from tests.contract.ear import Ear, Frame
from tests.contract.server import Server

RECORDINGS = Path(__file__).parent.parent / "recordings"

# Recorded after another prompt of the same graph, whose results were cached.
PREDECESSORS = {
    "ok_cached": "ok",
    "ws_image_cached": "ws_image",
    "txt2img_preview_meta": "txt2img",
    "interrupted": "txt2img",
    "subfolder_prefix": "two_nodes",
    "video_mp4": "animated_webp",
    "video_webm": "video_mp4",
}

SAME = [
    *("ok", "ok_cached", "ok_batch2", "preview_temp", "text_preview", "mask_preview", "partial_invalid"),
    *("ws_image", "ws_image_cached", "ws_image_meta", "txt2img", "txt2img_preview_meta", "interrupted"),
    *("exec_error", "subfolder_prefix", "animated_webp", "video_mp4", "video_webm"),
]


class Recording:
    def __init__(self, name: str) -> None:
        content = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
        [self.entry] = content["history"].values()
        self.graph: dict[str, Any] = self.entry["prompt"][2]
        self.answer: dict[str, Any] = content["post_body"]
        self.messages: list[dict[str, Any]] = content["ws"]

    @property
    def flags(self) -> bool:
        return any(message.get("type") == "feature_flags" for message in self.messages)

    @property
    def shapes(self) -> list[tuple[str, Any]]:
        return [
            shape(f"binary {message['binary']['event']}", None)
            if "binary" in message
            else shape(message["type"], message["data"])
            for message in self.messages
        ]


def shape(kind: str, data: Any) -> tuple[str, Any]:
    """A message without its values, but with the nodes it speaks of and their states."""
    if kind == "progress_state":
        return kind, {node: (set(state), state["state"]) for node, state in data["nodes"].items()}
    return kind, data and (set(data), data.get("node"), data.get("node_id"), data.get("value"), data.get("max"))


def shape_of(frame: Frame) -> tuple[str, Any]:
    return shape(frame.type, frame.data)


@pytest.fixture
def recorded_server() -> Any:
    """A simulator with the checkpoint and the files that the recording server had."""
    with Simulator(step_seconds=0, checkpoints=["random-sd15.safetensors"], version=OLDEST) as sim:
        buffer = io.BytesIO()
        Image.effect_noise((64, 64), 90).save(buffer, "PNG")
        (sim.input_directory / "corrupt.png").write_bytes(buffer.getvalue()[:500])
        yield sim


def play(sim: Simulator, name: str) -> tuple[Recording, dict[str, Any], Ear]:
    """Queues a recording's graph as it was queued then; returns it, the answer and what was heard to the end."""
    recording = Recording(name)
    server = Server(sim.url)
    if name in PREDECESSORS:
        play(sim, PREDECESSORS[name])[2].close()
    ear = Ear(sim.url, flags=recording.flags)
    if name == "interrupted":
        sim.hold_steps(after=2)
    answer = server.accepted(recording.graph, ear)
    if name == "interrupted":
        for _ in range(2):
            ear.until("binary 1")
        server.post("/interrupt", {"prompt_id": answer["prompt_id"]})
    ear.until_done(answer["prompt_id"])
    return recording, answer, ear


@pytest.mark.parametrize("name", SAME)
def test_a_recorded_run_sends_the_same_messages(recorded_server: Simulator, name: str) -> None:
    recording, answer, ear = play(recorded_server, name)

    assert [shape_of(frame) for frame in ear.heard] == recording.shapes
    assert set(answer) == set(recording.answer)
    assert set(answer["node_errors"]) == set(recording.answer["node_errors"])
    ear.close()


def test_several_outputs_send_the_same_messages_in_some_order(recorded_server: Simulator) -> None:
    # ComfyUI keeps the outputs of a graph in a set, so which of them runs first is chance.
    recording, answer, ear = play(recorded_server, "two_nodes")

    outputs = Server(recorded_server.url).entry(answer["prompt_id"])["outputs"]

    assert Counter(frame.type for frame in ear.heard) == Counter(kind for kind, _ in recording.shapes)
    assert {node: places(output) for node, output in outputs.items()} == {
        node: places(output) for node, output in recording.entry["outputs"].items()
    }
    ear.close()


def places(output: dict[str, Any]) -> list[tuple[str, str]]:
    return [(file["subfolder"], file["type"]) for file in output["images"]]


@pytest.mark.parametrize("name", SAME)
def test_a_recorded_run_leaves_the_same_history(recorded_server: Simulator, name: str) -> None:
    recording, answer, ear = play(recorded_server, name)

    entry = Server(recorded_server.url).entry(answer["prompt_id"])

    assert set(entry) == set(recording.entry)
    assert entry["prompt"][2] == recording.entry["prompt"][2]
    assert entry["prompt"][4] == recording.entry["prompt"][4]
    assert entry["meta"] == recording.entry["meta"]
    assert entry["outputs"].keys() == recording.entry["outputs"].keys()
    status, recorded = entry["status"], recording.entry["status"]
    assert (status["status_str"], status["completed"]) == (recorded["status_str"], recorded["completed"])
    assert [(event, set(data)) for event, data in status["messages"]] == [
        (event, set(data)) for event, data in recorded["messages"]
    ]
    ear.close()


def test_every_recorded_class_is_there(server: Server) -> None:
    used = set()
    for path in RECORDINGS.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        for entry in (content.get("history") or {}).values():
            used |= {node["class_type"] for node in entry["prompt"][2].values()}

    assert used <= set(server.get("/object_info").json())
