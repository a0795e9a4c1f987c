"""The package as it is built, installed and started: its dependencies, the command, and the files inside it."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import requests

from comfybridge import __version__
from comfybridge.cli.main import main
from comfybridge.cli.program import program
from comfybridge.simulator import Simulator
from tests import graphs

ROOT = Path(__file__).parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
SECONDS = 60
EXTRAS = ("aiohttp", "multidict", "hypothesis", "pytest", "responses")


def listed(text: str) -> list[str]:
    return sorted(re.findall(r'^    "(.+)",$', text, re.MULTILINE))


def test_requirements_txt_lists_what_pyproject_declares() -> None:
    """It is the one file that the README's commands install."""
    declared = PROJECT[PROJECT.index("dependencies = [") : PROJECT.index("[project.scripts]")]
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert sorted(line for line in lines if line and not line.startswith("#")) == listed(declared)


def test_the_command_starts_without_what_the_extras_bring() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(sys.argv[1:]))"
    code = f"{blocked}; from comfybridge.cli.main import main; import comfybridge.web; sys.exit(main(['workflows']))"
    ended = subprocess.run(
        [sys.executable, "-c", code, *EXTRAS], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "txt2img (the default)" in ended.stdout


@pytest.mark.parametrize("command", [["--demo"], ["serve", "--demo"], ["generate", "x", "--demo"]])
def test_a_demo_without_its_extra_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert main(command) == 2
    assert (
        "--demo needs the package aiohttp, which pip install 'comfybridge[demo]' brings." in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("app.py", "app.py"),
        ("/srv/app.py", "app.py"),
        ("/opt/bin/comfybridge", "comfybridge"),
        ("comfybridge.exe", "comfybridge"),
        ("/x/comfybridge/__main__.py", "python -m comfybridge"),
        ("/usr/bin/pytest", "app.py"),
    ],
)
def test_messages_name_the_program_as_it_was_called(monkeypatch: pytest.MonkeyPatch, called: str, name: str) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    assert program() == name


# -- a wheel, unpacked


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the wheel's files, and nothing else of the checkout."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which requirements-dev.txt lists, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == f"comfybridge-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / "site")
    return folder / "site"


def in_it(installed: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    ).stdout


def test_the_wheel_has_what_it_needs_and_nothing_of_the_tests(installed: Path) -> None:
    files = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert "comfybridge/py.typed" in files
    assert "comfybridge/shipped_files/gunicorn.conf.py" in files
    templates = {f"comfybridge/shipped_files/workflows/{path.name}" for path in (ROOT / "workflows").iterdir()}
    assert templates <= files
    page = ROOT / "comfybridge" / "web" / "page" / "files"
    shown = [*page.rglob("*"), *(page.parent.parent / "document").glob("docs.*")]
    assert {path.relative_to(ROOT).as_posix() for path in shown if path.is_file()} <= files
    assert {name.split("/")[0] for name in files} == {"comfybridge", f"comfybridge-{__version__}.dist-info"}
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "comfybridge = comfybridge.__main__:run" in entry.read_text()


def test_it_is_a_command_with_templates_of_its_own(installed: Path) -> None:
    assert in_it(installed, "-m", "comfybridge", "--version") == f"ComfyBridge {__version__}\n"
    assert in_it(installed, "-m", "comfybridge", "--help").startswith(
        "usage: python -m comfybridge [serve] [options]"
    )
    assert "txt2img (the default)" in in_it(installed, "-m", "comfybridge", "workflows")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no gunicorn")
@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "comfybridge", "serve"],
        ["-m", "gunicorn", "-c", "python:comfybridge.serving.gunicorn_settings", "comfybridge.web:create_app()"],
    ],
    ids=["comfybridge serve", "gunicorn"],
)
def test_it_serves(installed: Path, sim: Simulator, arguments: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "COMFYUI_URL": sim.url,
        "COMFYBRIDGE_PORT": port,
        "COMFYBRIDGE_LOG_FORMAT": "text",
    }
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=installed.parent, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        guard = threading.Timer(SECONDS, server.kill)
        guard.start()
        try:
            assert any("txt2img (the default)" in line for line in server.stderr)  # its last line
            url = f"http://127.0.0.1:{port}/generate"
            answer = requests.post(url, json={"workflow": graphs.picture()}, timeout=SECONDS)
            assert answer.json()["status"] == "success"
            server.send_signal(signal.SIGTERM)
            assert server.wait(SECONDS) == 0
        finally:
            guard.cancel()
            server.kill()
