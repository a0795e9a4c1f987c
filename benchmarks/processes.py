"""The processes of a benchmark: bridges, stand-ins for ComfyUI, and the tools that measure them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.usage import family
from comfybridge.engine.server import find_program

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 15.0
TOOL_SECONDS = 1800.0


class Refused(Exception):
    """A bridge does not start with these settings; the message is its own."""


@dataclass(frozen=True)
class Bridge:
    """A running bridge."""

    url: str
    pid: int


class StandIn:
    """A running stand-in ComfyUI (`stand_in.py`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._read()

    def hold(self) -> None:
        """Let no prompt finish."""
        self._ask("hold")

    def release(self) -> None:
        """Let them finish."""
        self._ask("release")

    def wait_until_queued(self, count: int, seconds: float) -> int:
        """Wait until a number of prompts are queued, or a time is over; returns how many are."""
        return int(self._ask(f"queued {count} {seconds}"))

    def done(self) -> int:
        """How many prompts it has finished."""
        return int(self._ask("done"))

    def _ask(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the stand-in ComfyUI has ended")
        return line.strip()


@contextlib.contextmanager
def bridge(comfyui_url: str | None, **settings: object) -> Iterator[Bridge]:
    """A bridge of this checkout, with these settings added to those of the environment.

    Args:
        comfyui_url: None for a bridge whose prompts run on agents.

    Raises:
        Refused: it does not start with them.
    """
    port = _free_port()
    environment = {f"COMFYBRIDGE_{name.upper()}": str(value) for name, value in settings.items()}
    environment["COMFYBRIDGE_HOST"] = "127.0.0.1"
    if comfyui_url is not None:
        environment["COMFYUI_URL"] = comfyui_url
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            _wait_until_healthy(url, process)
            if process.poll() is not None:
                said.seek(0)
                raise Refused((said.read().strip().splitlines() or ["it says nothing"])[-1])
            yield Bridge(url, process.pid)
        finally:
            _stop(process)


def proxy_program() -> str | None:
    """The vendor's proxy for the Comfy API v2: beside this Python, or on the PATH; None if there is none."""
    beside = os.path.join(os.path.dirname(sys.executable), "comfy-api-proxy")
    return shutil.which(beside) or shutil.which("comfy-api-proxy")


@contextlib.contextmanager
def v2_proxy(comfyui_url: str, most_upload_mb: int) -> Iterator[Bridge]:
    """The vendor's proxy in front of a ComfyUI."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    program = proxy_program()
    assert program is not None
    options = ["--comfyui", comfyui_url, "--port", str(port), "--max-upload-mb", str(most_upload_mb)]
    process = subprocess.Popen([program, "run", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_healthy(url, process, "/api/v2/health")
        yield Bridge(url, process.pid)
    finally:
        _stop(process)


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """An engine for a fleet, which writes to disk what it keeps before it says so; gives its address."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="comfybridge-benchmark-") as folder:
        config = Path(folder, "nats.conf")
        config.write_text(
            f'listen: "127.0.0.1:{port}"\nmax_payload: 8MB\n'
            f'jetstream {{ store_dir: "{folder}/store", sync_interval: always }}\n'
        )
        process = subprocess.Popen([find_program(None), "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + START_SECONDS
            while time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
            yield f"nats://127.0.0.1:{port}"
        finally:
            _stop(process)


@contextlib.contextmanager
def agent(engine_url: str, comfyui_url: str, name: str) -> Iterator[int]:
    """An agent beside a ComfyUI; gives its process id."""
    command = ["app.py", "agent", "--engine", engine_url, "--comfyui-url", comfyui_url, "--name", name]
    with tempfile.TemporaryDirectory(prefix="comfybridge-benchmark-") as folder:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "COMFYBRIDGE_STATE_DIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process.pid
        finally:
            _stop(process)


@contextlib.contextmanager
def stand_in(step_seconds: float = 0, megabytes: tuple[int, ...] = ()) -> Iterator[StandIn]:
    """A stand-in ComfyUI.

    Args:
        step_seconds: how long the "GPU" of `gpu_graph` takes.
        megabytes: the sizes of the files for `file_graph`.
    """
    sizes = ",".join(str(each) for each in megabytes)
    options = ["--step-seconds", str(step_seconds), "--megabytes", sizes]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stand_in", *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield StandIn(process)
    finally:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # this ends it, and it cleans up after itself
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS * 4)
        _stop(process)


@dataclass(frozen=True)
class Tool:
    """A running measuring process."""

    _process: subprocess.Popen[str]

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def result(self) -> Any:
        """Its output, once it has ended.

        Raises:
            RuntimeError: it failed.
        """
        try:
            printed, _ = self._process.communicate(timeout=TOOL_SECONDS)
        finally:
            _stop(self._process)
        if self._process.returncode:
            raise RuntimeError(f"{' '.join(map(str, self._process.args[2:]))} failed")  # type: ignore[index]
        return json.loads(printed)


def start_tool(module: str, *arguments: object) -> Tool:
    """Start `python -m benchmarks.MODULE`, with the standard error of this process."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    return Tool(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))


def run_tool(module: str, *arguments: object) -> Any:
    """Run `python -m benchmarks.MODULE` to its end; returns its output."""
    return start_tool(module, *arguments).result()


def get(url: str, path: str) -> tuple[int, bytes]:
    """The status and body of an answer, without the environment's proxies."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", parts.path + path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def allow_many_files() -> None:
    """Let this process and those it starts open as many files (and so connections) as the system allows."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_healthy(url: str, process: subprocess.Popen[Any], path: str = "/health") -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if get(url, path)[0] == 200:
                return
        if time.monotonic() > until:
            raise TimeoutError(f"{url} does not answer")
        time.sleep(0.05)  # there is no other way to wait until a process is ready


def _stop(process: subprocess.Popen[Any]) -> None:
    """End a process with its children, which would outlive it if only the process were killed."""
    if process.poll() is not None:
        return
    children = family([process.pid])
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for each in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()
