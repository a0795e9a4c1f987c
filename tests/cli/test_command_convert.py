"""`python app.py convert`, and `generate -w FILE` with what the editor saved."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfybridge.cli.main import main
from comfybridge.simulator import Simulator
from tests import graphs
from tests.media.pictures import drawn, encoded, texts
from tests.web.saved_files import of_unknown_pack, picture, queued

PROMPT = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0},
        "_meta": {"title": "EmptyImage"},
    },
    "2": {
        "class_type": "SaveImage",
        "inputs": {"filename_prefix": "out", "images": ["1", 0]},
        "_meta": {"title": "Save Image"},
    },
}


def saved(name: str = "flow.json", workflow: Any = None) -> str:
    Path(name).write_text(json.dumps(workflow or picture()))
    return name


def test_the_api_file_is_written(maker: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", saved(), "-o", "api.json", *maker]) == 0
    assert json.loads(Path("api.json").read_text()) == PROMPT
    assert capsys.readouterr().out == ""


def test_without_a_name_it_goes_to_standard_output(maker: list[str], capfdbinary: Any) -> None:
    assert main(["convert", saved(), *maker]) == 0
    assert json.loads(capfdbinary.readouterr().out) == PROMPT


def test_the_file_may_come_from_standard_input_and_be_a_picture(
    maker: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(drawn(), pnginfo=texts(workflow=picture()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["convert", "-", "-o", "api.json", *maker]) == 0
    assert json.loads(Path("api.json").read_text()) == PROMPT


def test_an_api_file_stays_as_it_is(maker: list[str]) -> None:
    graph = graphs.picture()
    assert main(["convert", saved(workflow=graph), "-o", "api.json", *maker]) == 0
    assert json.loads(Path("api.json").read_text()) == graph


def test_a_warning_goes_to_standard_error(maker: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    odd = picture()
    odd["nodes"][0]["inputs"] = [{"name": "width", "type": "INT", "link": 77, "widget": {"name": "width"}}]
    assert main(["convert", saved(workflow=odd), "-o", "api.json", *maker]) == 0
    assert "Warning: Node 1 (EmptyImage): input width has a link" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["strange.json"], 3, "its pack is odd-pack"),
        (["missing.json"], 2, "No such file"),
        (["text.txt"], 2, "text.txt is neither JSON nor a picture."),
        (["list.json"], 2, "list.json holds no workflow."),
        (["plain.png"], 2, "plain.png contains no graph"),
    ],
)
def test_what_can_t_be_converted_is_told_why(
    maker: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    saved("strange.json", of_unknown_pack())
    saved("list.json", [1])
    Path("text.txt").write_text("a cat")
    Path("plain.png").write_bytes(encoded(drawn()))
    assert main(["convert", *arguments, *maker]) == code
    assert said in capsys.readouterr().err


def test_it_says_where_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["--url", "http://a", "--comfyui-url", "http://b"], ["--api-key", "x"]):
        with pytest.raises(SystemExit):
            main(["convert", "flow.json", *more])
    assert "only one" in capsys.readouterr().err


def test_a_saved_file_is_run(maker: list[str], sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "-w", saved(), "-p", "width=32", "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as made:
        assert made.size == (32, 64)
    assert queued(sim)[1]["extra_pnginfo"]["workflow"] == picture()
    assert main(["generate", "-w", saved(), "-o", "out.mp4", *maker]) == 2
    assert "out.mp4" in capsys.readouterr().err


def test_templates_of_the_editor_are_listed(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    Path("workflows").mkdir()
    saved("workflows/flow.json")
    options = ["workflows", "--workflows-dir", "workflows"]
    assert main(options) == 0
    assert "flow is not read: It was saved by ComfyUI's editor" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMFYUI_URL", sim.url)
        assert main(options) == 0
        assert "width, height, batch_size" in capsys.readouterr().out
        assert main([*options, "flow"]) == 0
        assert "default 64" in capsys.readouterr().out
