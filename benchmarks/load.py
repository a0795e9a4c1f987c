"""Any number of callers of a bridge, in one thread, so that the bridge is measured and not its callers.

Run as a process of its own: `python -m benchmarks.load URL CALLERS REQUESTS [--shape SHAPE] [--pids PID,...]`; it
prints a `Run` as JSON.
"""

from __future__ import annotations

import argparse
import json
import selectors
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from benchmarks.caller import Caller
from benchmarks.graphs import GRAPHS, Graph
from benchmarks.runs import Run
from benchmarks.usage import cpu_of, memory_of

LEAST_WARMING = 30
# A picture as it is, and in base64.
PICTURES = (b"\x89PNG\r\n", b"iVBORw0KGgo")


def warming(callers: int) -> int:
    """How many requests warm up connections and threads before the measurement."""
    return max(callers, LEAST_WARMING)


def body_of(shape: str, graph: Graph) -> dict[str, Any]:
    """The body of a request: the graph under a key, or under nested keys (`input.workflow`); itself without a key."""
    body: dict[str, Any] = graph
    for key in reversed(shape.split(".") if shape else []):
        body = {key: body}
    return body


def http_requests(url: str, shape: str, graph: Callable[[], Graph], count: int) -> list[bytes]:
    """The bytes of a number of requests, made in advance."""
    parts = urlsplit(url)
    made = []
    for _ in range(count):
        body = json.dumps(body_of(shape, graph())).encode()
        head = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


class Load:
    """A number of callers, each of which sends the next request as soon as it has an answer.

    Args:
        most_seconds: when a run gives up.
        per_second: how many callers start per second; all at once if None.
        accepted: whether the answers are 202, without a picture.
    """

    def __init__(
        self,
        url: str,
        callers: int,
        most_seconds: float,
        per_second: float | None = None,
        accepted: bool = False,
    ) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._most_seconds = most_seconds
        self._pause = 1 / per_second if per_second else 0.0
        self._status = 202 if accepted else 200
        self._wanted = (b'"id"',) if accepted else PICTURES
        self._count = callers
        self._callers: list[Caller] = []

    def run(self, requests: list[bytes]) -> tuple[list[float], list[str]]:
        """Make the requests; returns the seconds of each successful one, and the failures."""
        left = iter(requests)
        latencies: list[float] = []
        failures: list[str] = []
        until = time.monotonic() + self._most_seconds
        with selectors.DefaultSelector() as selector:
            for caller, request in zip(self._coming(), left, strict=False):
                selector.register(caller.socket, selectors.EVENT_READ, caller)
                caller.send(request)
            while len(latencies) + len(failures) < len(requests):
                ready = selector.select(max(0.0, until - time.monotonic()))
                if not ready:
                    failures += ["no answer in time"] * (len(requests) - len(latencies) - len(failures))
                for key, _ in ready:
                    caller = key.data
                    if not caller.receive():
                        continue
                    if caller.status == self._status and any(each in caller.received for each in self._wanted):
                        latencies.append(time.perf_counter() - caller.began)
                    else:
                        failures.append(f"{caller.status} {bytes(caller.received[-300:])!r}")
                    if caller.renew():
                        selector.unregister(key.fileobj)
                        selector.register(caller.socket, selectors.EVENT_READ, caller)
                    following = next(left, None)
                    if following is not None:
                        caller.send(following)
        return latencies, failures

    def _coming(self) -> Iterator[Caller]:
        """All callers, as they start."""
        yield from self._callers
        while len(self._callers) < self._count:
            time.sleep(self._pause)
            self._callers.append(Caller(*self._address))
            yield self._callers[-1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("callers", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument(
        "--shape", default="workflow", help="where in the body the graph is: workflow, input.workflow"
    )
    parser.add_argument("--graph", choices=GRAPHS, default="tiny")
    parser.add_argument("--pids", default="", help="the processes whose CPU is measured, comma-separated")
    parser.add_argument("--warm", type=int, help="requests made before anything counts")
    parser.add_argument(
        "--per-second", type=float, help="how many callers come in a second; all at once if not given"
    )
    parser.add_argument("--accepted", action="store_true", help="the answers are 202: jobs")
    parser.add_argument("--most-seconds", type=float, default=600, help="when to give up")
    options = parser.parse_args()
    pids = [int(pid) for pid in options.pids.split(",") if pid]
    warm = warming(options.callers) if options.warm is None else options.warm
    made = http_requests(options.url, options.shape, GRAPHS[options.graph], warm + options.requests)
    load = Load(options.url, options.callers, options.most_seconds, options.per_second, options.accepted)
    load.run(made[:warm])
    cpu, began = cpu_of(pids), time.perf_counter()
    latencies, failures = load.run(made[warm:])
    seconds, cpu = time.perf_counter() - began, cpu_of(pids) - cpu
    failure = failures[0] if failures else ""
    print(Run(options.callers, latencies, len(failures), seconds, cpu, memory_of(pids), failure).to_json())


if __name__ == "__main__":
    main()
