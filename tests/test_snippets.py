"""The Python in the documentation: it runs as it stands, and gives the true reason if something is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import ROOT
from tests.served import served

NOBODY = "http://127.0.0.1:1"


def snippets(page: str) -> list[str]:
    """The Python on a page of the documentation."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


(OVER_HTTP,) = snippets("docs/api.md")
(QUICK,) = snippets("README.md")
CLIENT, WITHOUT_HTTP = snippets("docs/python.md")


def run(snippet: str, folder: Path, given: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a snippet, with another address in the place of one of its own."""
    assert given in snippet
    return subprocess.run(
        [sys.executable, "-c", snippet.replace(given, url)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("snippet", [OVER_HTTP, QUICK, CLIENT], ids=["api", "readme", "client"])
def test_over_http(sim: Simulator, tmp_path: Path, snippet: str, is_there: bool) -> None:
    app = create_app(load_settings(comfyui_url=sim.url if is_there else NOBODY))
    with served(app) as url:
        ended = run(snippet, tmp_path, "http://127.0.0.1:8189", url)
    check(ended, tmp_path / "cat.png", is_there)


@pytest.mark.parametrize("is_there", [True, False])
def test_without_http(sim: Simulator, tmp_path: Path, is_there: bool) -> None:
    ended = run(WITHOUT_HTTP, tmp_path, "http://127.0.0.1:8188", sim.url if is_there else NOBODY)
    check(ended, tmp_path / "picture.png", is_there)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("COMFYUI_URL", "ftp://x", "COMFYUI_URL must begin with http:// or https://."),
        ("COMFYBRIDGE_TIMEOUT", "soon", "COMFYBRIDGE_TIMEOUT is 'soon'; it must be a number."),
    ],
)
def test_without_http_and_with_a_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    if name == "COMFYUI_URL":
        ended = run(WITHOUT_HTTP, tmp_path, "http://127.0.0.1:8188", value)
    else:
        (tmp_path / ".env").write_text(f"{name}={value}\n")
        ended = run(WITHOUT_HTTP, tmp_path, "http://127.0.0.1:8188", NOBODY)
    assert (ended.returncode, ended.stderr) == (1, f"{said}\n")


def check(ended: subprocess.CompletedProcess[str], picture: Path, is_there: bool) -> None:
    if is_there:
        assert ended.returncode == 0, ended.stderr
        assert picture.read_bytes().startswith(b"\x89PNG")
    else:
        assert ended.returncode == 1
        assert ended.stderr == f"ComfyUI at {NOBODY} refuses the connection (is it running?).\n"
