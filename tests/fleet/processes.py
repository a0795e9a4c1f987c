"""The processes of a fleet, each with a log of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests import ROOT
from tests.forking import Program
from tests.waiting import until_true

STUCK = "did not end when it was asked to"
MARK = "TESTS_FLEET"  # in the environment of all processes of one fleet, those included that they start


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Process:
    """A process in a session of its own. Signals go to all of that session."""

    def __init__(self, name: str, arguments: list[str], log: Path, environment: Mapping[str, str]) -> None:
        """
        Args:
            arguments: of Python, or of another program if the first has a slash.
            environment: what is added to the environment of the tests.
        """
        self.name, self.log = name, log
        self._arguments, self._environment = arguments, {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._process: Program | subprocess.Popen[bytes] | None = None
        self.exit_code: int | str | None = None  # after `stop`
        self.sessions: set[int] = set()
        self.start()

    def start(self) -> None:
        """Start it; again, if it has ended."""
        with self.log.open("ab") as log:
            if "/" in self._arguments[0]:
                self._process = subprocess.Popen(
                    self._arguments, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
            else:
                self._process = Program(self._arguments, self._environment, log.fileno(), log.fileno())
        self.sessions.add(self.pid)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return bool(self._process) and Path(f"/proc/{self.pid}/exe").exists()

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it like a machine that loses its power."""
        self._signal(signal.SIGKILL)
        self._wait()

    def suspend(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self, seconds: float = 30) -> None:
        """Ask it to end, as a service manager does."""
        if not self.is_running:
            return
        self.resume()
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self.exit_code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self.exit_code = STUCK

    def end(self) -> None:
        """Whatever it does."""
        with contextlib.suppress(Exception):
            self.kill()

    def wait_until_said(self, pattern: str) -> None:
        try:
            until_true(lambda: re.search(pattern, self.said) or not self.is_running, 30)
            assert re.search(pattern, self.said)
        except AssertionError:
            raise AssertionError(f"{self.name} never said {pattern}:\n{self.said[-3000:]}") from None

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(10)


def left_over(mark: str, sessions: Mapping[int, str]) -> list[str]:
    """The processes of these sessions, and those with a mark in their environment, as text."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
            is_marked = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if command and (is_marked or session in sessions):  # none that has ended and was not waited for
                found.append(f"{sessions.get(session, command)} ({folder.name})")
    return found


def binary(name: str) -> str:
    """A program beside this Python, or in PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name
