"""The client for comparison with the bridge: it speaks ComfyUI's own protocol as directly as possible.

One websocket shared by all callers, prompt ids of its own, outputs taken from the `executed` event, one `/view` for
the picture. Run as a process of its own: `python -m benchmarks.direct URL CALLERS REQUESTS [--http urllib3]`; it
prints a `Run` as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
import websocket

from benchmarks.graphs import tiny_graph
from benchmarks.load import warming
from benchmarks.runs import Run
from benchmarks.usage import memory_of

TIMEOUT = 120.0

# GET or POST: from path and JSON body (or None) to the answer's bytes
Call = Callable[[str, dict[str, Any] | None], bytes]


def call_with_requests(url: str, callers: int) -> Call:
    """Make calls as most scripts do."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=callers))

    def call(path: str, body: dict[str, Any] | None) -> bytes:
        answer = session.get(url + path) if body is None else session.post(url + path, json=body)
        answer.raise_for_status()
        return answer.content

    return call


def call_with_urllib3(url: str, callers: int) -> Call:
    """Make calls with the library below `requests`, which costs less."""
    pool = urllib3.connection_from_url(url, maxsize=callers)
    prefix = urlsplit(url).path

    def call(path: str, body: dict[str, Any] | None) -> bytes:
        if body is None:
            answer = pool.request("GET", prefix + path)
        else:
            data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
            answer = pool.request("POST", prefix + path, body=data, headers=headers)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {answer.data[:200]!r}")
        return bytes(answer.data)

    return call


class DirectClient:
    """Queues prompts and waits for their pictures, for any number of threads."""

    def __init__(self, url: str, call: Call) -> None:
        self._call = call
        self._client_id = uuid.uuid4().hex
        self._ended: dict[str, threading.Event] = {}
        self._outputs: dict[str, dict[str, Any]] = {}
        self._socket = websocket.create_connection(
            f"{url.replace('http', 'ws', 1)}/ws?clientId={self._client_id}", skip_utf8_validation=True
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def picture(self) -> bytes:
        """The bytes of one picture."""
        prompt_id = str(uuid.uuid4())
        ended = self._ended[prompt_id] = threading.Event()
        self._call("/prompt", {"prompt": tiny_graph(), "prompt_id": prompt_id, "client_id": self._client_id})
        if not ended.wait(TIMEOUT):
            raise TimeoutError(prompt_id)
        output = self._outputs.pop(prompt_id)["images"][0]
        picture = self._call("/view?" + urlencode(output), None)
        if not picture.startswith(b"\x89PNG"):
            raise RuntimeError("no picture")
        return picture

    def _listen(self) -> None:
        while True:
            opcode, frame = self._socket.recv_data()
            if opcode != websocket.ABNF.OPCODE_TEXT:
                continue
            message = json.loads(frame)
            data = message["data"]
            if message["type"] == "executed":
                self._outputs[data["prompt_id"]] = data["output"]
            elif message["type"] == "executing" and data["node"] is None:
                self._ended.pop(data["prompt_id"]).set()


def in_threads(threads: int, requests: int, request: Callable[[], object]) -> tuple[list[float], list[Exception]]:
    """Make requests from several threads; returns the latencies of successful ones, and the failures."""
    latencies: list[float] = []
    failures: list[Exception] = []
    left = iter(range(requests))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            began = time.perf_counter()
            try:
                request()
            except Exception as error:
                failures.append(error)
            else:
                latencies.append(time.perf_counter() - began)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return latencies, failures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("callers", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("--http", choices=["requests", "urllib3"], default="requests")
    options = parser.parse_args()
    make = {"requests": call_with_requests, "urllib3": call_with_urllib3}[options.http]
    client = DirectClient(options.url, make(options.url, options.callers))
    in_threads(options.callers, warming(options.callers), client.picture)
    cpu, began = time.process_time(), time.perf_counter()
    latencies, failures = in_threads(options.callers, options.requests, client.picture)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    failure = repr(failures[0]) if failures else ""
    memory = memory_of([os.getpid()])
    print(Run(options.callers, latencies, len(failures), seconds, cpu, memory, failure).to_json(), flush=True)
    os._exit(0)  # the socket's thread waits forever


if __name__ == "__main__":
    main()
