"""The examples, each run as its reader would run it, where its language is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests.served import served

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
KEY = "a-key-of-the-examples"
NOBODY = "http://127.0.0.1:1"
WHY = f"ComfyUI at {NOBODY} refuses the connection (is it running?)."

# The program for each ending, and the progress that an example prints.
RUNS = {".sh": "sh", ".py": sys.executable, ".mjs": "node", ".php": "php"}
TELL_PROGRESS = ("event_stream.mjs", "with_client.py")
SCRIPTS = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in RUNS)


def run(command: list[str], folder: Path, url: str, key: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BRIDGE_URL": url, "COMFYBRIDGE_API_KEY": key}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def command_of(name: str) -> list[str]:
    program = shutil.which(RUNS[Path(name).suffix])
    if program is None or (name == "curl.sh" and shutil.which("curl") is None):
        pytest.skip(f"{RUNS[Path(name).suffix]} or what the script calls is not installed")
    return [program, str(EXAMPLES / name)]


@pytest.fixture
def url(sim: Simulator) -> Iterator[str]:
    with served(create_app(load_settings(comfyui_url=sim.url, api_keys=KEY))) as url:
        yield url


def test_every_file_is_in_the_readme_s_table() -> None:
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    assert [path.name for path in EXAMPLES.iterdir() if f"]({path.name})" not in listed] == ["README.md"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_saves_a_picture(name: str, url: str, tmp_path: Path) -> None:
    ended = run(command_of(name), tmp_path, url, KEY)
    assert ended.returncode == 0, ended.stderr
    saved = [line.split()[0] for line in ended.stdout.splitlines()]
    assert saved[0] == "cat.png"
    assert sorted(saved) == sorted(path.name for path in tmp_path.iterdir())
    for file in saved:
        assert (tmp_path / file).read_bytes().startswith(b"\x89PNG")
    if name in TELL_PROGRESS:
        assert "100 %" in ended.stderr


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(("key", "said"), [(KEY, WHY), ("wrong", "API key")])
def test_it_says_what_is_wrong(name: str, key: str, said: str, tmp_path: Path) -> None:
    with served(create_app(load_settings(comfyui_url=NOBODY, api_keys=KEY))) as url:
        ended = run(command_of(name), tmp_path, url, key)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert not list(tmp_path.iterdir())


def test_the_notebook_runs_from_top_to_bottom(url: str, tmp_path: Path) -> None:
    if not all(importlib.util.find_spec(each) for each in ("nbclient", "ipykernel")):
        pytest.skip("nbclient or ipykernel, which requirements-dev.txt lists, is not installed")
    ended = run([sys.executable, "-c", RUN_NOTEBOOK, str(EXAMPLES / "notebook.ipynb")], tmp_path, url, KEY)
    assert ended.returncode == 0, ended.stderr
    shown: list[Any] = ended.stdout.split()
    assert shown == ["text/plain", "image/png", "text/plain", "image/png"]
    assert (tmp_path / "cat.png").read_bytes().startswith(b"\x89PNG")


# Prints what each output shows; for a picture, only its kind.
RUN_NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=100).execute()
for cell in notebook.cells:
    for output in cell.get("outputs", ()):
        print("image/png" if "image/png" in output["data"] else "text/plain")
"""
