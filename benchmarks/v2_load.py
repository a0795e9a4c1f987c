"""Callers of the Comfy API v2: the vendor's own SDK, as it is installed.

Run as a process of its own, which prints JSON:

    python -m benchmarks.v2_load run URL CALLERS JOBS [--pids PID,...] [--gpu]     # a `Run`
    python -m benchmarks.v2_load upload URL MEGABYTES [--pids PID,...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.graphs import Graph, gpu_graph, tiny_graph
from benchmarks.runs import Run
from benchmarks.usage import Peaks, cpu_of, memory_of

LEAST_WARMING = 30
SETTLE_SECONDS = 1.0  # for what a server does after the end of a job, which is part of its cost
MB = 1024 * 1024


async def run(url: str, callers: int, jobs: int, pids: list[int], make_graph: Callable[[], Graph]) -> Run:
    """Have a number of callers `run()` a graph, each one after the other, and look for its output."""
    from comfy_sdk import AsyncComfy

    latencies: list[float] = []
    failures: list[str] = []

    async def caller(client: AsyncComfy, left: Iterator[int]) -> None:
        for _ in left:
            began = time.perf_counter()
            try:
                job = await client.run(client.workflows.from_json(make_graph()), timeout=120)
                if job.outputs:
                    latencies.append(time.perf_counter() - began)
                else:
                    failures.append(f"{job.status} without an output")
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}"[:300])

    async def all_callers(client: AsyncComfy, count: int) -> None:
        left = iter(range(count))
        await asyncio.gather(*(caller(client, left) for _ in range(callers)))
        await asyncio.sleep(SETTLE_SECONDS)

    os.environ["COMFY_BASE_URL"] = url
    async with AsyncComfy() as client:
        await all_callers(client, max(callers, LEAST_WARMING))
        latencies.clear()
        failures.clear()
        cpu, began = cpu_of(pids), time.perf_counter()
        await all_callers(client, jobs)
        seconds, cpu = time.perf_counter() - began - SETTLE_SECONDS, cpu_of(pids) - cpu
    failure = failures[0] if failures else ""
    return Run(callers, latencies, len(failures), seconds, cpu, memory_of(pids), failure)


def upload(url: str, megabytes: int, pids: list[int]) -> dict[str, Any]:
    """Upload a file of random bytes, as `client.assets.from_file` does."""
    os.environ["COMFY_BASE_URL"] = url
    from comfy_sdk import Comfy

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file, Comfy(timeout=600) as client:
        for _ in range(megabytes):
            file.write(random.randbytes(MB))
        file.flush()
        client.assets.from_bytes(b"so that all is loaded", filename="small.txt").commit()
        asset = client.assets.from_file(file.name)
        assert asset.hash  # it takes as long as the upload, and is the caller's part
        peaks, cpu, began = Peaks(pids), cpu_of(pids), time.perf_counter()
        asset.commit()
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "cpu": cpu_of(pids) - cpu, "growth": peaks.growth()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("run", "upload"))
    parser.add_argument("url")
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--pids", default="", help="the processes that are measured, comma-separated")
    parser.add_argument("--gpu", action="store_true", help="the graph has a node that takes a while")
    options = parser.parse_args()
    pids = [int(pid) for pid in options.pids.split(",") if pid]
    if options.what == "run":
        print(
            asyncio.run(run(options.url, *options.numbers, pids, gpu_graph if options.gpu else tiny_graph)).to_json()
        )
    else:
        print(json.dumps(upload(options.url, *options.numbers, pids)))


if __name__ == "__main__":
    main()
