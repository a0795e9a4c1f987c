"""The simulator with a node that counts its runs, as a process of its own.

`-m tests.fleet.comfyui PORT FOLDER SECONDS`; SIGUSR1 cuts its websockets. The node writes to the file `runs` of the
folder, so that a run is counted whatever is killed afterwards.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from comfybridge.simulator import Simulator
from comfybridge.simulator.nodes.definition import NodeRun, integer, node
from comfybridge.simulator.world import World
from tests import graphs

NODE = "TestCounted"
RUNS = "runs"
BEGAN, ENDED = "began", "ended"


def job(label: str, steps: int = 1) -> dict[str, Any]:
    """A graph whose runs are counted under a label."""
    made = graphs.picture()
    made["3"] = graphs.node(NODE, images=["1", 0], label=label, steps=steps)
    made["2"]["inputs"]["images"] = ["3", 0]
    return made


def _never_cached(_: World, **__: Any) -> float:
    return float("nan")


@node(NODE, {"images": ("IMAGE",), "label": ("STRING", {"default": ""}), "steps": integer(1, 0, 100_000)},
      returns=("IMAGE",), changed=_never_cached)  # fmt: skip
def counted(run: NodeRun, images: Any, label: str, steps: int) -> tuple[Any]:
    """Takes the time of some steps, and writes down that it ran."""
    _write(f"{label} {BEGAN}\n")
    for number in range(steps):
        run.progress(number, steps)
        run.step()
    _write(f"{label} {ENDED}\n")
    return (images,)


def _write(line: str) -> None:
    handle = os.open(RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)


def main() -> None:
    port, folder, seconds = sys.argv[1:4]
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Simulator(port=int(port), directory=folder, step_seconds=float(seconds)) as simulator:
        signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=simulator.drop_sockets).start())
        stop.wait()


if __name__ == "__main__":
    main()
