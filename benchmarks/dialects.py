"""The same request through the bridge's own API and through those of other programs: what each costs more."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.plan import Plan
from benchmarks.processes import Bridge, bridge, get, run_tool, stand_in
from benchmarks.runs import Run, median
from benchmarks.tables import say, table


class Asked(NamedTuple):
    """A way to ask for the picture: address and body (see `graphs`), and the row that it is compared with."""

    path: str
    graph: str
    base: str


OWN, OWN_PARAMS = "native", "native, more parameters"
ASKED = {
    OWN: Asked("/generate", "text", OWN),
    OWN_PARAMS: Asked("/generate", "params", OWN_PARAMS),
    "openai": Asked("/v1/images/generations", "text", OWN),
    "automatic1111": Asked("/sdapi/v1/txt2img", "text", OWN),
    "automatic1111, all fields": Asked("/sdapi/v1/txt2img", "webuiapi", OWN_PARAMS),
}
# Requests that wait at once: some, so that the bridge is always busy.
CALLERS = 4
NOT_ALLOWED = 405  # a GET to an address that exists

HEADERS = ("API", "median ms", "CPU ms", "added CPU ms", "failed")


def measure(plan: Plan, waiter: str) -> dict[str, Any]:
    """Measure every API in every round, all on one bridge, in an order that changes from round to round."""
    runs: list[dict[str, Any]] = []
    with stand_in() as comfyui, bridge(comfyui.url, wait=waiter) as running:
        names = [name for name, asked in ASKED.items() if get(running.url, asked.path)[0] == NOT_ALLOWED]
        for number in range(plan.dialect_rounds):
            for name in names:
                say(f"dialects: round {number + 1} of {plan.dialect_rounds}, {name}")
                run = _run(running, ASKED[name], plan.dialect_requests)
                runs.append({"round": number, "dialect": name, **run.figures()})
            names.append(names.pop(0))
    return {"waiter": waiter, "summary": [_summary_of(name, runs) for name in ASKED if name in names], "runs": runs}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    rows = [
        [row[name] for name in ("dialect", "median_ms", "cpu_ms", "added_cpu_ms", "failed")]
        for row in data["summary"]
    ]
    failures = {f"{run['dialect']} failed: {run['failure']}" for run in data["runs"] if run["failed"]}
    return table(f"The same request in several APIs ({data['waiter']})", HEADERS, rows, sorted(failures))


def _run(running: Bridge, asked: Asked, requests: int) -> Run:
    options = ("--graph", asked.graph, "--shape", "", "--pids", running.pid)
    return Run(**run_tool("load", f"{running.url}{asked.path}", CALLERS, requests, *options))


def _summary_of(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    mine = [run for run in runs if run["dialect"] == name]
    own = {run["round"]: run["cpu_ms"] for run in runs if run["dialect"] == ASKED[name].base}
    added = [
        round(run["cpu_ms"] - own[run["round"]], 3)
        for run in mine
        if run["cpu_ms"] is not None and own.get(run["round"]) is not None
    ]
    return {
        "dialect": name,
        "median_ms": median([run["median_ms"] for run in mine]),
        "cpu_ms": median([run["cpu_ms"] for run in mine]),
        "added_cpu_ms": median([*added]),
        "failed": sum(run["failed"] for run in mine),
    }
