"""The cost of a request at 1, 16 and 200 callers: the direct client, the bridge with each waiter, other bridges."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import Refused, bridge, get, run_tool
from benchmarks.runs import Run, median, ratio
from benchmarks.tables import say, table

DIRECT = "direct"
STRICT = "direct-urllib3"

IDLE_SECONDS = 60.0

HEADERS = (
    *("callers", "client", "median ms", "added ms", "p99 ms", "req/s", "x direct"),
    *("CPU ms", "x direct", "x urllib3", "MB", "failed"),
)


@dataclass(frozen=True)
class Contender:
    """A measured client: its name, and a function that runs a number of callers with a number of requests in all."""

    name: str
    run: Callable[[int, int], Run]


@dataclass(frozen=True)
class OtherBridge:
    """A running bridge: its URL, its process, and the graph's place in the body."""

    name: str
    url: str
    pid: int
    shape: str

    @classmethod
    def parse(cls, text: str) -> OtherBridge:
        """Read `NAME=URL,PID,SHAPE`.

        Raises:
            ValueError: the text has another form.
        """
        name, _, rest = text.partition("=")
        url, pid, shape = rest.rsplit(",", 2)
        if not name or not url.startswith("http://"):
            raise ValueError(text)
        return cls(name, url, int(pid), shape)


def measure(plan: Plan, comfyui_url: str, others: Sequence[OtherBridge]) -> dict[str, Any]:
    """Measure every contender in every round, one after the other, each time in processes of its own."""
    notes: list[str] = []
    contenders = [
        Contender(DIRECT, partial(_run_direct, comfyui_url, "requests")),
        Contender(STRICT, partial(_run_direct, comfyui_url, "urllib3")),
        *(Contender(name, partial(_run_bridge, comfyui_url, name)) for name in plan.waiters),
        *(Contender(other.name, partial(_run_other, other)) for other in others),
    ]
    runs: list[dict[str, Any]] = []
    for number in range(plan.rounds):
        for callers, requests in plan.requests.items():
            for contender in [*contenders]:
                say(f"callers: round {number + 1} of {plan.rounds}, {callers} callers, {contender.name}")
                _wait_until_idle(comfyui_url)
                try:
                    run = contender.run(callers, requests)
                except Refused as error:
                    contenders.remove(contender)
                    notes.append(f"{contender.name} is left out; the bridge says: {error}")
                    continue
                except RuntimeError as error:
                    notes.append(f"{contender.name} failed in round {number + 1} with {callers} callers: {error}")
                    continue
                runs.append({"round": number, "callers": callers, "client": contender.name, **run.figures()})
            # reverse the order, so that drift on the machine favours nobody
            contenders.append(contenders.pop(0))
    return {"summary": _summary(runs), "runs": runs, "notes": notes}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    names = (
        *("callers", "client", "median_ms", "added_ms", "p99_ms", "per_second", "throughput_ratio"),
        *("cpu_ms", "cpu_ratio", "strict_cpu_ratio", "memory_mb", "failed"),
    )
    rows = [[row[name] for name in names] for row in data["summary"]]
    failures = {f"{run['client']} failed: {run['failure']}" for run in data["runs"] if run["failed"]}
    return table("One tiny picture a request", HEADERS, rows, [*data["notes"], *sorted(failures)])


def _run_direct(url: str, http: str, callers: int, requests: int) -> Run:
    return Run(**run_tool("direct", url, callers, requests, "--http", http))


def _run_bridge(comfyui_url: str, waiter: str, callers: int, requests: int) -> Run:
    # A new one for each run: an idle one would still receive all events of ComfyUI.
    with bridge(comfyui_url, wait=waiter) as running:
        url = f"{running.url}/generate"
        return Run(**run_tool("load", url, callers, requests, "--graph", "bare", "--pids", running.pid))


def _run_other(other: OtherBridge, callers: int, requests: int) -> Run:
    return Run(**run_tool("load", other.url, callers, requests, "--pids", other.pid, "--shape", other.shape))


def _wait_until_idle(url: str) -> None:
    """Wait until ComfyUI is idle, in case the last run left prompts behind."""
    until = time.monotonic() + IDLE_SECONDS
    while json.loads(get(url, "/prompt")[1])["exec_info"]["queue_remaining"]:
        if time.monotonic() > until:
            raise RuntimeError(f"ComfyUI at {url} has other work to do")
        time.sleep(0.2)


def _summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = dict.fromkeys((run["callers"], run["client"]) for run in runs)
    order = list(dict.fromkeys(run["client"] for run in runs))
    return [_summary_of(*key, runs) for key in sorted(keys, key=lambda key: (key[0], order.index(key[1])))]


def _summary_of(callers: int, client: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    mine = [run for run in runs if (run["callers"], run["client"]) == (callers, client)]
    plain = ("median_ms", "p99_ms", "per_second", "cpu_ms", "memory_mb")
    return {
        "callers": callers,
        "client": client,
        **{name: median([run[name] for run in mine]) for name in plain},
        "added_ms": median([_difference(*pair) for pair in _pairs("median_ms", mine, DIRECT, runs)]),
        "throughput_ratio": median([ratio(*pair) for pair in _pairs("per_second", mine, DIRECT, runs)]),
        "cpu_ratio": median([ratio(*pair) for pair in _pairs("cpu_ms", mine, DIRECT, runs)]),
        "strict_cpu_ratio": median([ratio(*pair) for pair in _pairs("cpu_ms", mine, STRICT, runs)]),
        "failed": sum(run["failed"] for run in mine),
        "curve_ms": [median(list(points)) for points in zip(*(run["curve_ms"] for run in mine), strict=True)],
    }


def _pairs(
    name: str, mine: list[dict[str, Any]], other: str, runs: list[dict[str, Any]]
) -> list[tuple[float | None, float | None]]:
    """Pairs of a figure of each run and another client's in the same round."""
    others = {(run["round"], run["callers"]): run[name] for run in runs if run["client"] == other}
    return [(run[name], others.get((run["round"], run["callers"]))) for run in mine]


def _difference(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else round(value - other, 3)
