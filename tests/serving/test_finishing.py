"""What Ctrl-C prints where a server runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from comfybridge.serving.serve import FINISHING
from comfybridge.simulator import Simulator
from tests.serving.servers import GUNICORN, PYTHON_APP, WAITRESS, Server, free_port
from tests.serving.stopped import Caller
from tests.waiting import SECONDS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a word")


@pytest.mark.parametrize("runs", [False, True], ids=["nothing runs", "a request runs"])
@pytest.mark.parametrize("arguments", [PYTHON_APP, GUNICORN, WAITRESS], ids=["python app.py", "gunicorn", "waitress"])
def test_a_second_ctrl_c_is_offered_only_where_requests_run(
    sim: Simulator, tmp_path: Path, arguments: list[str], runs: bool
) -> None:
    sim.hold()
    with (tmp_path / "printed").open("w") as printed:
        server = Server(arguments, printed, COMFYUI_URL=sim.url, COMFYBRIDGE_PORT=free_port())
        try:
            caller = Caller(server) if runs else None
            if caller is not None:
                sim.wait_until_running()
            server.stop(signal.SIGINT)  # returns once the signal has been heeded
            if caller is not None:
                sim.release()
                assert caller.answered().status_code == 200
            assert server.process.wait(SECONDS) == 0
        finally:
            server.end()
    assert (FINISHING in (tmp_path / "printed").read_text()) == runs
