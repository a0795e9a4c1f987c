"""From what nodes have to show to outputs: every shape that ComfyUI's nodes are known to use."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import NodeOutput, Outcome
from comfybridge.deadline import Deadline
from comfybridge.prompts.outputs import outputs_of
from comfybridge.request import OutputOptions
from tests.comfyui.recorded import Recording, names


def told(output: dict[str, Any], options: OutputOptions | None = None) -> list[tuple[str, str, str, str, str]]:
    client = ComfyUIClient(ServerAddress.parse("http://gpu.example"))
    outcome = Outcome([NodeOutput("1", output)])
    return [
        (each.kind, each.media_type, each.filename, each.subfolder, each.type)
        for each in outputs_of(outcome, client, Deadline(9), options)
    ]


def file(filename: str, subfolder: str = "", type: str = "output") -> dict[str, str]:
    return {"filename": filename, "subfolder": subfolder, "type": type}


@pytest.mark.parametrize(
    ("key", "filename", "kind", "media_type"),
    [
        ("images", "a.png", "image", "image/png"),
        ("images", "a.webp", "image", "image/webp"),
        ("images", "a.mp4", "video", "video/mp4"),
        ("images", "a.webm", "video", "video/webm"),
        ("video", "a.MP4", "video", "video/mp4"),
        ("gifs", "a.gif", "image", "image/gif"),
        ("gifs", "a.mp4", "video", "video/mp4"),
        ("audio", "a.flac", "audio", "audio/flac"),
        ("audio", "a.mp3", "audio", "audio/mpeg"),
        ("audio", "a.opus", "audio", "audio/ogg"),
        ("3d", "a.glb", "3d", "model/gltf-binary"),
        ("latents", "a.latent", "file", "application/octet-stream"),
    ],
)
def test_the_name_and_not_the_key_tells_what_a_file_is(key: str, filename: str, kind: str, media_type: str) -> None:
    assert told({key: [file(filename, "sub")]}) == [(kind, media_type, filename, "sub", "output")]


@pytest.mark.parametrize("path", ["mesh/a b.glb", "mesh\\a b.glb", "mesh/a b.glb [output]"])
def test_a_3d_preview_names_its_file_by_a_path(path: str) -> None:
    camera = {"position": {"x": 1}}
    assert told({"result": [path, camera]}) == [("3d", "model/gltf-binary", "a b.glb", "mesh", "output")]


@pytest.mark.parametrize("path", ["/srv/mesh/a.glb", "C:\\mesh\\a.glb", "../../a.glb", "a.txt", ""])
def test_other_results_are_no_files(path: str) -> None:
    assert told({"result": [path, None]}) == []


def test_a_result_in_words_is_a_text() -> None:
    assert told({"result": ["done", None]}) == [("text", "text/plain; charset=utf-8", "", "", "")]


def test_what_stands_beside_the_files_is_no_output() -> None:
    assert len(told({"images": [file("a.webp")], "animated": [True], "size": "big", "more": {"a": 1}})) == 1


def test_a_preview_comes_beside_a_file_only_if_asked_for() -> None:
    output = {"images": [file("a.png", type="temp"), file("b.png")]}
    assert [each[2] for each in told(output)] == ["b.png"]
    assert [each[2] for each in told(output, OutputOptions(previews=True))] == ["a.png", "b.png"]


def test_only_the_wanted_nodes_count() -> None:
    assert told({"images": [file("a.png")]}, OutputOptions(nodes=("2",))) == []


@pytest.mark.parametrize("name", [each for each in names(finished=True) if each not in ("exec_error", "interrupted")])
def test_every_recorded_run_has_something_to_show(name: str) -> None:
    entry = Recording(name).entry
    shown = [each for output in entry["outputs"].values() for each in told(output)]
    assert shown or Recording(name).prompt.websocket_outputs
