"""`python app.py generate` when its terminal is closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from comfybridge.simulator import Simulator
from tests import ROOT
from tests.cli.made import SMALL
from tests.waiting import SECONDS

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such terminals")


def begin(maker: list[str], handler: Callable[..., object] | signal.Handlers) -> tuple[subprocess.Popen[bytes], int]:
    """Run the command on a terminal until its bar shows; gives the terminal too."""
    terminal, inside = os.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "generate", "x", *SMALL, "-o", os.devnull, *maker],
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=inside,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, handler),
    )
    os.close(inside)
    shown = b""
    while b"%" not in shown:
        shown += os.read(terminal, 1000)
    return process, terminal


def test_a_terminal_that_is_closed_cancels_the_prompt(sim: Simulator, maker: list[str]) -> None:
    sim.hold()
    process, terminal = begin(maker, signal.SIG_DFL)
    os.close(terminal)  # the terminal is gone
    process.send_signal(signal.SIGHUP)  # as the system does when a process loses its controlling terminal
    try:
        assert process.wait(SECONDS) == 129
    finally:
        process.kill()
        process.wait()
    sim.wait_until_idle()
    [entry] = sim.history.values()
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


def test_with_nohup_the_prompt_runs_on(sim: Simulator, maker: list[str]) -> None:
    sim.hold()
    process, terminal = begin(maker, signal.SIG_IGN)
    process.send_signal(signal.SIGHUP)
    sim.release()
    try:
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    [entry] = sim.history.values()
    assert entry["status"]["status_str"] == "success"
