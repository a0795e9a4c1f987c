"""Start the demo as a newcomer would, run the command that it prints, and look at the picture.

Then see that a job which it was given is still there after a restart.

python .ci/smoke.py                          # `python app.py --demo`, in the checkout
python .ci/smoke.py .../bin/comfybridge      # an installed one, from a folder that has nothing of the checkout
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 120


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as state:
        with demo(port, state) as server:
            check_picture(read_announcement(server))
            check_probes(port)
            job, picture = run_job(port)
        with demo(port, state) as server:
            read_announcement(server)
            assert result_of(port, job) == picture, "after a restart, the job's result is another one"
    print("smoke test passed: the demo served a picture, kept a job over a restart, and stopped cleanly")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def demo(port: int, state: str) -> Iterator[subprocess.Popen[str]]:
    command, folder = sys.argv[1:], tempfile.gettempdir()
    if not command:
        command, folder = [sys.executable, "app.py"], str(ROOT)
    with subprocess.Popen(
        [*command, "--demo", "--port", str(port)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COMFYBRIDGE_STATE_DIR": state},
    ) as server:
        # a server that says nothing is stopped, and what waits for it ends
        guard = threading.Timer(SECONDS, server.kill)
        guard.start()
        try:
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(SECONDS)
            guard.cancel()
    assert code == 0, f"the server ended with {code}"


def run_job(port: int) -> tuple[str, bytes]:
    """Leave a job, wait for it, and return its id and its picture."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/jobs",
        data=json.dumps({"prompt": "a cat", "steps": 2}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
        assert answer.status == 202, answer.status
        job = json.load(answer)["id"]
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/jobs/{job}", timeout=SECONDS) as answer:
            status = json.load(answer)["status"]
        if status not in ("queued", "running"):
            assert status == "succeeded", status
            return job, result_of(port, job)
        time.sleep(0.1)


def result_of(port: int, job: str) -> bytes:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/jobs/{job}/result", headers={"Accept": "image/png"})
    with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
        return answer.read()


def read_announcement(server: "subprocess.Popen[str]") -> str:
    said = ""
    assert server.stdout is not None
    for line in server.stdout:
        said += line
        if "curl" in line:
            return said
    raise AssertionError(f"the server stopped before it had said how to try it:\n{said}")


def check_picture(said: str) -> None:
    match = re.search(r"^\s*(curl .*)$", said, re.MULTILINE)
    assert match, said
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
        subprocess.run(match[1], shell=True, cwd=folder, check=True, timeout=SECONDS, env=environment)
        picture = Path(folder, "picture.png").read_bytes()
    assert picture.startswith(b"\x89PNG"), "what was saved is no PNG"


def check_probes(port: int) -> None:
    for path in ("/health", "/ready", "/workflows"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=SECONDS) as answer:
            assert answer.status == 200, path
            json.load(answer)


if __name__ == "__main__":
    main()
