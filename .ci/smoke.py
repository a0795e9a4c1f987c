"""Start the demo as a newcomer would, run the command that it prints, and look at the picture.

python .ci/smoke.py                          # `python app.py --demo`, in the checkout
python .ci/smoke.py .../bin/comfybridge      # an installed one, from a folder that has nothing of the checkout
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, folder = sys.argv[1:], tempfile.gettempdir()
    if not command:
        command, folder = [sys.executable, "app.py"], str(ROOT)
    with subprocess.Popen(
        [*command, "--demo", "--port", str(port)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as server:
        # a server that says nothing is stopped, and the loop below ends
        guard = threading.Timer(SECONDS, server.kill)
        guard.start()
        try:
            said = read_announcement(server)
            check_picture(said)
            check_probes(port)
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(SECONDS)
            guard.cancel()
    assert code == 0, f"the server ended with {code}"
    print("smoke test passed: the demo served a picture and stopped cleanly")


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
