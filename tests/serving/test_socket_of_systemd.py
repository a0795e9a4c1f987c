"""A bridge that is restarted behind a socket that systemd holds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from comfybridge.simulator import Simulator
from tests import ROOT
from tests.waiting import SECONDS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="for systems with systemd")


def test_callers_wait_while_it_is_restarted(sim: Simulator, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        url = f"http://127.0.0.1:{port}/health"

        def start() -> subprocess.Popen[bytes]:
            # the socket is number 3, and the variable names the process that it is for
            command = f'exec 3<&{listening.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" app.py'
            return subprocess.Popen(
                ["bash", "-c", command, sys.executable],
                cwd=ROOT,
                env={
                    **os.environ,
                    "COMFYUI_URL": sim.url,
                    "COMFYBRIDGE_PORT": str(port),
                    "COMFYBRIDGE_STATE_DIR": str(tmp_path),
                },
                pass_fds=[listening.fileno()],
                stderr=subprocess.DEVNULL,
            )

        running = start()
        try:
            assert requests.get(url, timeout=SECONDS).status_code == 200
            running.send_signal(signal.SIGTERM)
            running.wait(SECONDS)
            answers: list[int] = []
            caller = threading.Thread(target=lambda: answers.append(requests.get(url, timeout=SECONDS).status_code))
            caller.start()
            running = start()
            caller.join(SECONDS)
            assert answers == [200]
        finally:
            running.terminate()
            running.wait(SECONDS)
