"""`python app.py generate`: the same path from the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from werkzeug.serving import make_server

from comfybridge.cli import main
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs

SMALL = ["-p", "width=64", "-p", "height=64", "-p", "steps=2"]


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMFYUI_URL", raising=False)


@pytest.fixture
def bridge_url(sim: Simulator) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(load_settings(comfyui_url=sim.url)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(params=["--url", "--comfyui-url", "--demo"])
def maker(request: pytest.FixtureRequest, sim: Simulator, bridge_url: str) -> list[str]:
    addresses = {"--url": [bridge_url], "--comfyui-url": [sim.url], "--demo": []}
    return [request.param, *addresses[request.param]]


def test_a_picture_is_saved_where_it_was_wanted(maker: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["generate", "a lighthouse at dusk", "-w", "txt2img", *SMALL, "-p", "seed=7", "-o", "out.png", *maker])
        == 0
    )
    with Image.open("out.png") as picture:
        assert picture.size == (64, 64)
    said = capsys.readouterr()
    assert said.out == "out.png\n"
    assert "seed 7" in said.err


def test_several_pictures_get_numbers_and_without_a_name_their_own(maker: list[str], tmp_path: Path) -> None:
    assert main(["generate", "x", *SMALL, "-p", "batch_size=2", "-o", "out.png", *maker]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out.png", "out_2.png"}
    assert main(["generate", "x", *SMALL, *maker]) == 0
    assert len(list(tmp_path.glob("ComfyUI_*.png"))) == 1


def test_a_graph_of_one_s_own_is_run(maker: list[str]) -> None:
    Path("mine.json").write_text(json.dumps(graphs.picture(40, 24)))
    assert main(["generate", "-w", "mine.json", "-p", "1.width=48", "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as picture:
        assert picture.size == (48, 24)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "-p", "steps=0"], "steps is 0; it must be an integer from 1 to 10000."),
        (["x", "-p", "steps"], "-p takes NAME=VALUE, not 'steps'."),
        (["x", "-w", "nope"], "There is no workflow 'nope'"),
        (["x", "-w", "nope.json"], "nope.json"),
    ],
)
def test_a_failure_is_one_line_and_a_code(
    maker: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["generate", *arguments, *maker]) == 1
    error = capsys.readouterr().err
    assert error.startswith("app.py generate: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("option", ["--url", "--comfyui-url"])
def test_nobody_there_is_said_so(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main(["generate", "x", option, "http://127.0.0.1:1"]) == 1
    assert "http://127.0.0.1:1" in capsys.readouterr().err


def test_what_is_no_bridge_is_said_so(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--url", sim.url]) == 1
    assert "is a bridge there?" in capsys.readouterr().err


def test_who_makes_it_can_only_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["generate", "x", "--demo", "--url", "http://x"])
    assert ended.value.code == 2
