"""Server processes, started as a user starts them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO

import pytest
import requests

from tests import ROOT
from tests.forking import Program
from tests.waiting import SECONDS

PYTHON_APP = ["app.py"]
GUNICORN = ["-m", "gunicorn", "app:app"]
WAITRESS = [
    "-c",
    "from comfybridge.settings import load_settings; from comfybridge.web import create_app; "
    "from comfybridge.serving.serve import serve_with_waitress; serve_with_waitress(create_app, load_settings())",
]
EVERY_SERVER = [
    pytest.param(PYTHON_APP, id="python app.py"),
    pytest.param(GUNICORN, id="gunicorn app:app"),
    pytest.param(WAITRESS, id="waitress"),
]


def _start(
    arguments: list[str], environment: dict[str, str], printed: int, log: int
) -> subprocess.Popen[str] | Program:
    """Start a program. It may be a fork, unless it is given something that Python itself reads when it starts."""
    given = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    if hasattr(os, "fork") and arguments[0] != "-B" and all(name.startswith("COMFY") for name in environment):
        return Program(arguments, given, printed, log)
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=given, stdout=printed, stderr=log, text=True, start_new_session=True
    )


class Server:
    """A server process, started and ready for requests.

    Args:
        printed: where its standard output goes; nowhere if not given.

    Attributes:
        said: its log so far.
    """

    def __init__(self, arguments: list[str], printed: IO[str] | None = None, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{environment['COMFYBRIDGE_PORT']}"
        log, written = os.pipe()
        with open(os.devnull, "w") as nowhere:
            self.process = _start(arguments, environment, (printed or nowhere).fileno(), written)
        os.close(written)
        self.said = ""
        self._log = open(log)  # noqa: SIM115  # for as long as the server runs
        self._is_ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._is_ready.wait(SECONDS) or "Workflows:" not in self.said:
            self.end()
            raise AssertionError(f"the server was never ready:\n{self.said}")

    def _read(self) -> None:
        for line in self._log:
            self.said += line
            if "Workflows:" in line:
                self._is_ready.set()
        self._is_ready.set()  # it has ended

    def stop(self, number: signal.Signals) -> None:
        """Send a signal as the terminal does, to the whole group, and wait until nobody is taken any more."""
        os.killpg(self.process.pid, number)
        while True:
            try:
                requests.get(f"{self.url}/health", timeout=0.5)
            except requests.RequestException:
                return

    def is_free(self) -> bool:
        """Whether no request is running."""
        said = requests.get(f"{self.url}/stats", timeout=SECONDS).json()
        return not any(each["in_flight"] for each in said["servers"])

    def end(self) -> None:
        if os.name == "nt":
            self.process.kill()
        else:  # with its workers, which would notice only a second later
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(SECONDS)
        self._log.close()


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


Start = Callable[..., Server]
Started = Callable[[list[str]], Server]
