"""A client that fetches a large file, from ComfyUI (`bare`) or from the bridge, and prints the cost as JSON.

`python -m benchmarks.download bare URL MEGABYTES REQUESTS` downloads it and encodes it as base64, as a caller without
a bridge would. `python -m benchmarks.download bridge URL MEGABYTES REQUESTS --pid PID` has the bridge do it, and
discards the answer, so that it costs next to nothing here.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import urllib3

from benchmarks.graphs import file_graph
from benchmarks.stand_in import FOLDER, MB, file_name
from benchmarks.usage import Peaks, cpu_of

TIMEOUT = 600.0
WARMING = 5


@dataclass(frozen=True)
class Download:
    """The cost of one download: seconds, CPU seconds of the measured process, bytes of its peak memory growth."""

    seconds: float
    cpu: float
    growth: int | None


def bare(url: str, megabytes: int) -> None:
    """Download the file and encode it as base64, in the plainest way."""
    fields = {"filename": file_name(megabytes), "subfolder": FOLDER, "type": "output"}
    answer = urllib3.request("GET", f"{url}/view", fields=fields)
    encoded = base64.b64encode(answer.data)
    _check(answer.status, len(encoded), megabytes)


def through_bridge(url: str, megabytes: int) -> None:
    """Have the bridge do both."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
    try:
        body = json.dumps({"workflow": file_graph(megabytes)})
        connection.request("POST", "/generate", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        buffer = bytearray(MB)
        received = 0
        while count := answer.readinto(buffer):
            received += count
        _check(answer.status, received, megabytes)
    finally:
        connection.close()


def measured(get: Callable[[], None], pid: int) -> Download:
    """Measure one download."""
    peaks, cpu, began = Peaks([pid]), cpu_of([pid]), time.perf_counter()
    get()
    seconds = time.perf_counter() - began
    return Download(seconds, cpu_of([pid]) - cpu, peaks.growth())


def _check(status: int, received: int, megabytes: int) -> None:
    if status != 200 or received < megabytes * MB * 4 / 3:
        raise SystemExit(f"{megabytes} MB: answered {status} with {received} bytes of base64")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["bare", "bridge"])
    parser.add_argument("url")
    parser.add_argument("megabytes", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("--pid", type=int, default=os.getpid(), help="the process that is measured; this one if none")
    options = parser.parse_args()
    way = {"bare": bare, "bridge": through_bridge}[options.way]
    # files of a few bytes show the cost of a request without the file
    small = [measured(lambda: way(options.url, 0), options.pid) for _ in range(WARMING)]
    large = [measured(lambda: way(options.url, options.megabytes), options.pid) for _ in range(options.requests)]
    print(json.dumps({"small": [asdict(each) for each in small], "large": [asdict(each) for each in large]}))


if __name__ == "__main__":
    main()
