"""Throughput with several servers, each of which takes a fixed time for a prompt."""

from __future__ import annotations

import contextlib
from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import Refused, StandIn, bridge, run_tool, stand_in
from benchmarks.runs import Run, median, ratio
from benchmarks.tables import say, table

# Requests per server at any time, so that no server is ever without a prompt.
CALLERS_PER_SERVER = 4

HEADERS = ("servers", "prompts/s", "x one", "of ideal", "prompts of each", "CPU ms", "failed")


def measure(plan: Plan, waiter: str) -> dict[str, Any]:
    """Measure every number of servers in every round, with a bridge of its own each time."""
    runs: list[dict[str, Any]] = []
    notes: list[str] = []
    with contextlib.ExitStack() as stack:
        comfyuis = [stack.enter_context(stand_in(plan.gpu_seconds)) for _ in range(max(plan.servers))]
        for number in range(plan.server_rounds):
            for count in plan.servers:
                say(f"servers: round {number + 1} of {plan.server_rounds}, {count} servers")
                try:
                    runs.append({"round": number, **_run(plan, waiter, comfyuis[:count])})
                except Refused as error:
                    notes.append(f"{count} servers: not supported; the bridge says: {error}")
            if notes:
                break
    return {"waiter": waiter, "summary": _summary(plan, runs), "runs": runs, "notes": notes}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    names = ("servers", "per_second", "ratio", "of_ideal", "prompts_of_each", "cpu_ms", "failed")
    rows = [[row[name] for name in names] for row in data["summary"]]
    failures = {f"{run['servers']} servers failed: {run['failure']}" for run in data["runs"] if run["failed"]}
    return table(f"Several servers ({data['waiter']})", HEADERS, rows, [*data["notes"], *sorted(failures)])


def _run(plan: Plan, waiter: str, comfyuis: list[StandIn]) -> dict[str, Any]:
    count = len(comfyuis)
    callers = CALLERS_PER_SERVER * max(plan.servers)
    urls = ",".join(each.url for each in comfyuis)
    with bridge(urls, wait=waiter, max_queue=1000) as running:
        before = [each.done() for each in comfyuis]
        run = Run(
            **run_tool(
                *("load", f"{running.url}/generate", callers, count * plan.prompts_per_server),
                *("--graph", "gpu", "--warm", callers, "--pids", running.pid),
            )
        )
    done = [each.done() - earlier for each, earlier in zip(comfyuis, before, strict=True)]
    return {"servers": count, "callers": callers, "prompts_of_each": done, **run.figures()}


def _summary(plan: Plan, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = {run["round"]: run for run in runs if run["servers"] == plan.servers[0]}
    summary = []
    for count in plan.servers:
        mine = [run for run in runs if run["servers"] == count]
        if not mine:
            continue
        per_second = median([run["per_second"] for run in mine])
        summary.append(
            {
                "servers": count,
                "per_second": per_second,
                "ratio": median([ratio(run["per_second"], first[run["round"]]["per_second"]) for run in mine]),
                "of_ideal": ratio(per_second, count / plan.gpu_seconds),
                "prompts_of_each": " ".join(map(str, mine[-1]["prompts_of_each"])),
                "cpu_ms": median([run["cpu_ms"] for run in mine]),
                "failed": sum(run["failed"] for run in mine),
            }
        )
    return summary
