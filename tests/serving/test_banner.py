"""What a server logs when it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfybridge.simulator import Simulator
from tests import ROOT
from tests.serving.servers import GUNICORN, PYTHON_APP, WAITRESS, Server, Start, free_port
from tests.waiting import SECONDS


@pytest.fixture
def start(sim: Simulator) -> Iterator[Start]:
    started: list[Server] = []

    def start(arguments: list[str], **environment: str) -> Server:
        given = {"COMFYUI_URL": sim.url, "COMFYBRIDGE_LOG_FORMAT": "json", "COMFYBRIDGE_ALLOW_ANONYMOUS": "true"}
        started.append(Server(arguments, **{**given, "COMFYBRIDGE_PORT": free_port(), **environment}))
        return started[-1]

    yield start
    for server in started:
        server.end()


def listens(server: Server) -> list[str]:
    """What the log says about where it listens."""
    lines = [json.loads(line) for line in server.said.splitlines()]
    assert all({"time", "level"} <= line.keys() for line in lines)
    return [line["message"] for line in lines if "listens on" in line.get("message", "")]


@pytest.mark.parametrize("arguments", [PYTHON_APP, GUNICORN, WAITRESS], ids=["python app.py", "gunicorn", "waitress"])
def test_the_address_that_is_listened_on_is_named_once(start: Start, arguments: list[str]) -> None:
    server = start(arguments, COMFYBRIDGE_HOST="0.0.0.0")
    port = server.url.rpartition(":")[2]
    assert listens(server) == [
        f"ComfyBridge listens on http://0.0.0.0:{port} (every address of this machine, such as http://127.0.0.1:{port})"
    ]


def test_a_name_of_two_addresses_is_one_line(start: Start) -> None:
    server = start(WAITRESS, COMFYBRIDGE_HOST="localhost")
    [line] = listens(server)
    assert server.url in line


def test_several_places_are_one_line(start: Start) -> None:
    ports = [free_port(), free_port()]
    server = start([*GUNICORN, "-b", f"127.0.0.1:{ports[0]}", "-b", f"127.0.0.1:{ports[1]}"])
    assert listens(server) == [f"ComfyBridge listens on http://127.0.0.1:{ports[0]} and http://127.0.0.1:{ports[1]}"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no gunicorn")
def test_a_unix_socket_is_named_by_its_path(start: Start, tmp_path: Path) -> None:
    server = start([*GUNICORN, "-b", f"unix:{tmp_path / 'bridge.sock'}"])
    assert listens(server) == [f"ComfyBridge listens on unix:{tmp_path / 'bridge.sock'}"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no gunicorn")
def test_several_workers_speak_once(start: Start, tmp_path: Path) -> None:
    server = start([*GUNICORN, "-w", "3"], TMPDIR=str(tmp_path))
    server.stop(15)
    server.process.wait(SECONDS)
    assert len(listens(server)) == 1


def test_the_demo_s_command_can_be_copied_from_standard_output() -> None:
    process = subprocess.Popen(
        [sys.executable, "app.py", "--demo", "--port", free_port()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    command = next((line for line in lines if "curl" in line), "")
    process.terminate()
    process.communicate(timeout=SECONDS)
    assert re.fullmatch(r"  curl .* http://127\.0\.0\.1:\d+/generate .*\n", command)
