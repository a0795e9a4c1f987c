"""A fleet: what it adds to a blocking request, how throughput grows with agents, and many callers at once."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import Bridge, StandIn, agent, bridge, engine, get, run_tool, stand_in
from benchmarks.runs import Run, median, ratio
from benchmarks.tables import say, table

START_SECONDS = 60.0
# Requests for each agent at any time, so that none is ever without a prompt.
CALLERS_PER_AGENT = 4

HEADERS = ("agents", "prompts/s", "x one", "of ideal", "CPU ms", "failed")


def measure(plan: Plan) -> dict[str, Any]:
    """Measure a bridge whose prompts run on agents, and one with a ComfyUI of its own, in turn."""
    added = _added(plan)
    scaling, many = _scaling(plan)
    return {"added": added, "scaling": scaling, "many": many}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    added, many = data["added"], data["many"]
    notes = [
        f"One caller: {added['direct_median_ms']:.1f} ms with a ComfyUI of its own, {added['fleet_median_ms']:.1f} "
        f"through the fleet; added {added['median_ms']:.1f} ms, at p99 {added['p99_ms']:.1f} ms.",
        f"{many['callers']} callers at once: {many['answered']} requests answered, {many['lost']} lost, "
        f"{many['per_second']} a second. {many['failure']}",
    ]
    names = ("agents", "per_second", "ratio", "of_ideal", "cpu_ms", "failed")
    return table("A fleet", HEADERS, [[row[name] for name in names] for row in data["scaling"]], notes)


@contextlib.contextmanager
def fleet_of(comfyuis: list[StandIn]) -> Iterator[tuple[Bridge, list[int]]]:
    """A fleet with an agent for each ComfyUI; gives the bridge, and the processes of the agents."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(engine())
        state = stack.enter_context(tempfile.TemporaryDirectory(prefix="comfybridge-benchmark-"))
        settings = {"engine": url, "state_dir": state, "max_concurrent": 500, "max_queue": 2000}
        running = stack.enter_context(bridge(None, **settings))
        agents = [
            stack.enter_context(agent(url, each.url, f"agent-{number}")) for number, each in enumerate(comfyuis)
        ]
        until = time.monotonic() + START_SECONDS
        while len(json.loads(get(running.url, "/stats")[1]).get("agents", [])) < len(agents):
            if time.monotonic() > until:
                raise TimeoutError("an agent does not come")
            time.sleep(0.1)
        yield running, agents


def _added(plan: Plan) -> dict[str, Any]:
    """One caller, with and without the fleet, on the same ComfyUI."""
    rounds = []
    with stand_in() as comfyui, bridge(comfyui.url) as direct, fleet_of([comfyui]) as (running, _):
        for number in range(plan.fleet_rounds):
            say(f"fleet: round {number + 1} of {plan.fleet_rounds}, one caller")
            runs = [_run(each, 1, plan.fleet_requests, "tiny") for each in (direct, running)]
            rounds.append([run.figures() for run in runs])
    names = ("median_ms", "p99_ms")
    return {
        **{name: median([round(other[name] - own[name], 3) for own, other in rounds]) for name in names},
        **{f"direct_{name}": median([own[name] for own, _ in rounds]) for name in names},
        **{f"fleet_{name}": median([other[name] for _, other in rounds]) for name in names},
        "failed": sum(each["failed"] for pair in rounds for each in pair),
        "rounds": rounds,
    }


def _scaling(plan: Plan) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Each number of agents in each round; and then many callers with all agents."""
    runs: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        comfyuis = [stack.enter_context(stand_in(plan.fleet_gpu_seconds)) for _ in range(max(plan.agents))]
        for number in range(plan.fleet_rounds):
            for count in plan.agents:
                say(f"fleet: round {number + 1} of {plan.fleet_rounds}, {count} agents")
                with fleet_of(comfyuis[:count]) as (running, agents):
                    callers = CALLERS_PER_AGENT * count
                    run = _run(running, callers, count * plan.prompts_per_agent, "gpu", agents)
                runs.append({"round": number, "agents": count, **run.figures()})
        callers, requests = plan.many
        say(f"fleet: {callers} callers")
        with fleet_of(comfyuis) as (running, _):
            many = _run(running, callers, requests, "tiny")
    figures = many.figures()
    return _summary(plan, runs), {
        "callers": callers,
        "answered": figures["answered"],
        "lost": requests - figures["answered"],
        "per_second": figures["per_second"],
        "median_ms": figures["median_ms"],
        "failure": figures["failure"],
    }


def _run(running: Bridge, callers: int, requests: int, graph: str, more: list[int] | None = None) -> Run:
    pids = ",".join(map(str, [running.pid, *(more or [])]))
    options = ("--graph", graph, "--warm", max(10, callers), "--pids", pids)
    return Run(**run_tool("load", f"{running.url}/generate", callers, requests, *options))


def _summary(plan: Plan, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = {run["round"]: run for run in runs if run["agents"] == plan.agents[0]}
    summary = []
    for count in plan.agents:
        mine = [run for run in runs if run["agents"] == count]
        per_second = median([run["per_second"] for run in mine])
        summary.append(
            {
                "agents": count,
                "per_second": per_second,
                "ratio": median([ratio(run["per_second"], first[run["round"]]["per_second"]) for run in mine]),
                "of_ideal": ratio(per_second, count / plan.fleet_gpu_seconds),
                "cpu_ms": median([run["cpu_ms"] for run in mine]),
                "failed": sum(run["failed"] for run in mine),
            }
        )
    return summary
