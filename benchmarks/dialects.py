"""The same request through the bridge's own API and through those of other programs: what each costs more."""

from __future__ import annotations

from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import Bridge, bridge, get, run_tool, stand_in
from benchmarks.runs import Run, median
from benchmarks.tables import say, table

OWN = "native"
PATHS = {OWN: "/generate", "openai": "/v1/images/generations", "automatic1111": "/sdapi/v1/txt2img"}
# Requests that wait at once: some, so that the bridge is always busy.
CALLERS = 4
NOT_ALLOWED = 405  # a GET to an address that exists

HEADERS = ("API", "median ms", "CPU ms", "added CPU ms", "failed")


def measure(plan: Plan, waiter: str) -> dict[str, Any]:
    """Measure every API in every round, all on one bridge, in an order that changes from round to round."""
    runs: list[dict[str, Any]] = []
    with stand_in() as comfyui, bridge(comfyui.url, wait=waiter) as running:
        names = [name for name, path in PATHS.items() if get(running.url, path)[0] == NOT_ALLOWED]
        for number in range(plan.dialect_rounds):
            for name in names:
                say(f"dialects: round {number + 1} of {plan.dialect_rounds}, {name}")
                run = _run(running, PATHS[name], plan.dialect_requests)
                runs.append({"round": number, "dialect": name, **run.figures()})
            names.append(names.pop(0))
    return {"waiter": waiter, "summary": [_summary_of(name, runs) for name in PATHS if name in names], "runs": runs}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    rows = [
        [row[name] for name in ("dialect", "median_ms", "cpu_ms", "added_cpu_ms", "failed")]
        for row in data["summary"]
    ]
    failures = {f"{run['dialect']} failed: {run['failure']}" for run in data["runs"] if run["failed"]}
    return table(f"The same request in several APIs ({data['waiter']})", HEADERS, rows, sorted(failures))


def _run(running: Bridge, path: str, requests: int) -> Run:
    options = ("--graph", "text", "--shape", "", "--pids", running.pid)
    return Run(**run_tool("load", f"{running.url}{path}", CALLERS, requests, *options))


def _summary_of(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    mine = [run for run in runs if run["dialect"] == name]
    own = {run["round"]: run["cpu_ms"] for run in runs if run["dialect"] == OWN}
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
