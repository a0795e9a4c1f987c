"""Python programs as forks of one process that has imported the application: to import it takes most of a second.

That process is this module, run. For each program it forks twice: the fork in between waits for the program, and
tells its exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests import ROOT

LONGEST = 2**20  # bytes of what is asked


class Program:
    """A program in a session of its own, which Ctrl-C interrupts. As far as it goes, as `subprocess.Popen`.

    Args:
        arguments: what stands behind "python": a file, `-m` and a module, or `-c` and code, with what follows.
        outputs: file descriptors for its standard output and standard error.
        cwd: its working folder.
    """

    def __init__(
        self, arguments: list[str], environment: Mapping[str, str], *outputs: int, cwd: str | Path = ROOT
    ) -> None:
        self._ending, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
        asked = json.dumps([arguments, dict(environment), str(cwd)]).encode()
        with other:
            socket.send_fds(_forker(), [asked], [other.fileno(), *outputs])
        self.pid = int(self._ending.recv(20))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self._ending.settimeout(timeout)
            try:
                self.returncode = int(self._ending.recv(20))
            except TimeoutError:
                raise subprocess.TimeoutExpired("a fork", timeout or 0) from None
            self._ending.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _forker() -> socket.socket:
    """The connection to the process that forks; it ends with this one."""
    mine, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.forking", str(other.fileno())]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with other:
        subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[other.fileno()], start_new_session=True)
    return mine


def _become(control: socket.socket) -> list[str]:
    """Fork for each program that is asked for. Returns in the fork that is to run it."""
    while True:
        asked, given, _, _ = socket.recv_fds(control, LONGEST, 3)
        if not asked:
            os._exit(0)
        ending, *outputs = given
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those in between
                pass
        if os.fork() == 0:
            break
        for each in (ending, *outputs):
            os.close(each)
    control.close()
    pid = os.fork()
    if pid:
        for each in outputs:
            os.close(each)
        os.write(ending, b"%d" % pid)
        os.write(ending, b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    os.close(ending)
    os.setsid()
    for number, each in enumerate(outputs, 1):
        os.dup2(each, number)
        os.close(each)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments, environment, folder = json.loads(asked)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return list(arguments)


def _run(arguments: list[str]) -> Any:
    first, *rest = arguments
    sys.argv = [first, *rest]
    if first == "-m":
        sys.argv = rest
        return runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    if first == "-c":
        return exec(rest[0], {"__name__": "__main__"})
    return runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    for name in (
        "gunicorn.app.wsgiapp",
        "waitress",
        "comfybridge.cli.main",
        "comfybridge.web",
        "comfybridge.engine.link",
        "comfybridge.simulator",
    ):
        importlib.import_module(name)
    _run(_become(socket.socket(fileno=int(sys.argv[1]))))
