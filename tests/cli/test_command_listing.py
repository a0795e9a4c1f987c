"""`python app.py workflows` and `--version`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from comfybridge import __version__
from comfybridge.cli.main import main
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.served import served

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "square.json").write_text(json.dumps(graphs.txt2img("model.safetensors")))
    (tmp_path / "square.yaml").write_text(
        "description: A square.\nparameters:\n  steps: {node: 3, input: steps, type: integer, min: 1, max: 50}\n"
    )
    (tmp_path / "torn.json").write_text("{")
    monkeypatch.setenv("COMFYBRIDGE_WORKFLOWS_DIR", str(tmp_path))
    monkeypatch.setenv("COMFYBRIDGE_DEFAULT_WORKFLOW", "square")
    return tmp_path


@pytest.fixture(params=["here", "elsewhere"])
def said(request: pytest.FixtureRequest, folder: Path, sim: Simulator, capsys: pytest.CaptureFixture[str]) -> Said:
    def ask(*arguments: str) -> tuple[int, str, str]:
        if request.param == "here":
            code = main(["workflows", *arguments])
        else:
            with served(create_app(load_settings(comfyui_url=sim.url))) as url:
                code = main(["workflows", *arguments, "--url", url])
        return (code, *capsys.readouterr())

    return ask


def test_the_templates_are_listed(said: Said) -> None:
    code, out, err = said()
    assert code == 0
    assert out == "square (the default)\n    A square.\n    steps\n"
    assert err.startswith("torn is broken: torn.json")


def test_its_presets_and_tasks_are_told(said: Said, folder: Path) -> None:
    (folder / "square.yaml").write_text("task: edit\npresets: {quality: {low: {steps: 1}, high: {steps: 9}}}\n")
    code, out, _ = said("square")
    assert code == 0
    assert out.endswith("    preset quality: low, high\n    for edit\n")


def test_one_of_them_tells_what_it_takes(said: Said) -> None:
    code, out, _ = said("square")
    assert code == 0
    assert re.fullmatch(r"square: A square\.\n    steps  integer, 1 to 50, default 2\b.*\n", out)


def test_one_that_is_not_there_is_said_so(said: Said) -> None:
    code, out, err = said("squere")
    assert (code, out) == (3, "")
    assert err.startswith("app.py workflows: There is no workflow 'squere'; did you mean square?")


def test_a_folder_that_is_not_there_is_said_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflows", "--workflows-dir", str(folder / "nowhere")]) == 2
    assert capsys.readouterr().err == f"app.py workflows: There is no folder {folder / 'nowhere'}.\n"


def test_a_bridge_that_is_not_there_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflows", "--url", "127.0.0.1:1"]) == 4
    assert capsys.readouterr().err == (
        "app.py workflows: The bridge at http://127.0.0.1:1 refuses the connection (is it running?).\n"
    )


@pytest.mark.parametrize("command", [[], ["generate"], ["workflows"], ["key"]])
def test_the_version_is_told(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"ComfyBridge {__version__}\n"
