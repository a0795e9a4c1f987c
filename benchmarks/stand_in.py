"""A stand-in ComfyUI whose queue can be held, with a "GPU" of a fixed pace and large files.

The simulator with two additional node classes, run as a process of its own: `python -m benchmarks.stand_in
[--step-seconds S] [--megabytes N,N,...]`. It prints its URL on the first line, obeys the lines of its input (`hold`,
`release`, `queued COUNT SECONDS`, `done`) and answers each with one line. It ends with its input, and so with the
process that started it.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import threading
from pathlib import Path
from typing import Any

from benchmarks.graphs import FILE_NODE, GPU_NODE
from comfybridge.simulator import Simulator, instance
from comfybridge.simulator.nodes.definition import NodeRun, integer, node

MB = 1024 * 1024
FOLDER = "benchmark-files"
MOST_UPLOADED = 8 * 1024 * MB
# The first bytes of an MP4, so that the file is recognized as one.
MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"


@node(GPU_NODE, {"images": ("IMAGE",)}, returns=("IMAGE",))
def gpu(run: NodeRun, images: Any) -> tuple[Any]:
    """Takes the time of one step without using the processor."""
    run.step()
    return (images,)


@node(FILE_NODE, {"megabytes": integer(1, 0, 10_000), "number": integer(0, 0, 2**32)}, output_node=True)
def file(_: NodeRun, megabytes: int, number: int) -> dict[str, Any]:
    """Shows a file of a size; `number` keeps it out of the cache."""
    return {"images": [{"filename": file_name(megabytes), "subfolder": FOLDER, "type": "output"}], "animated": [True]}


def file_name(megabytes: int) -> str:
    """The name of the file of a size; 0 is one of a few bytes."""
    return f"{megabytes}.mp4"


def write_file(folder: Path, megabytes: int) -> None:
    """Write the file of a size into a folder."""
    folder.mkdir(exist_ok=True)
    block = random.randbytes(MB)
    with (folder / file_name(megabytes)).open("wb") as opened:
        opened.write(MP4_HEAD)
        for number in range(megabytes):
            opened.write(block[len(MP4_HEAD) if number == 0 else 0 :])


def obey(simulator: Simulator, command: str) -> object:
    """Carry out one line."""
    match command.split():
        case ["hold"]:
            simulator.hold()
        case ["release"]:
            simulator.release()
        case ["queued", count, seconds]:
            with contextlib.suppress(TimeoutError):
                simulator.wait_until_queued(int(count), float(seconds))
            return len(simulator.pending) + len(simulator.running)
        case ["done"]:
            return len(simulator.history)
        case _:
            raise ValueError(command)
    return "ok"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--step-seconds", type=float, default=0.0)
    parser.add_argument("--megabytes", default="")
    options = parser.parse_args()
    instance.MAX_UPLOAD_BYTES = MOST_UPLOADED  # as ComfyUI's option --max-upload-size
    with Simulator(step_seconds=options.step_seconds) as simulator:
        for megabytes in filter(None, options.megabytes.split(",")):
            write_file(simulator.output_directory / FOLDER, int(megabytes))
        ended = threading.Event()

        def forget() -> None:
            while not ended.wait(1):
                simulator.forget_requests()  # tens of thousands of recorded requests would fill the memory

        threading.Thread(target=forget, daemon=True).start()
        print(simulator.url, flush=True)
        for line in sys.stdin:
            print(obey(simulator, line), flush=True)
        ended.set()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
