"""Memory and `/health` of one bridge process with thousands of waiting callers."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import Bridge, StandIn, Tool, bridge, run_tool, stand_in, start_tool
from benchmarks.runs import Run, megabytes, milliseconds, percentile
from benchmarks.tables import say, table
from benchmarks.usage import cpu_of, resident_of

# Connections faster than one process can accept (200 and more a second) would measure overload, not waiting.
COME_PER_SECOND = 100
FILL_SECONDS = 300.0
ANSWER_SECONDS = 900.0
IDLE_PROBE_SECONDS = 3.0

HEADERS = (
    *("callers", "blocked", "answered", "lost", "MB idle", "MB blocked", "KB each"),
    *("health p50 ms", "p99", "max", "p99 idle", "failed", "CPU %", "s to empty"),
)


def measure(plan: Plan, waiter: str) -> dict[str, Any]:
    """Measure each number of callers with a bridge and a held ComfyUI of its own."""
    rows = []
    for callers in plan.blocked:
        say(f"blocked: {callers} callers")
        settings = {
            "wait": waiter,
            "max_concurrent": callers + 50,
            "max_queue": callers + 50,
            "timeout": FILL_SECONDS + ANSWER_SECONDS + plan.probe_seconds,
        }
        with stand_in() as comfyui, bridge(comfyui.url, **settings) as running:
            rows.append(_measure(plan, callers, comfyui, running))
    return {"waiter": waiter, "rows": rows}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    names = (
        *("callers", "blocked", "answered", "lost", "idle_mb", "blocked_mb", "each_kb"),
        *(
            "health_p50_ms",
            "health_p99_ms",
            "health_max_ms",
            "idle_health_p99_ms",
            "health_failed",
            "cpu_percent",
            "empty_seconds",
        ),
    )
    rows = [[row[name] for name in names] for row in data["rows"]]
    notes = [f"{row['callers']} callers, first failure: {row['failure']}" for row in data["rows"] if row["failure"]]
    return table(f"Callers blocked in one process ({data['waiter']})", HEADERS, rows, notes)


def _measure(plan: Plan, callers: int, comfyui: StandIn, running: Bridge) -> dict[str, Any]:
    run_tool("load", f"{running.url}/generate", 1, 1)  # the warm-up loads everything that is loaded on first use
    idle = resident_of([running.pid])
    idle_health, _ = _health(running, min(IDLE_PROBE_SECONDS, plan.probe_seconds))
    comfyui.hold()
    load = start_tool(
        *("load", f"{running.url}/generate", callers, callers, "--warm", 0, "--per-second", COME_PER_SECOND),
        *("--most-seconds", FILL_SECONDS + ANSWER_SECONDS, "--pids", running.pid),
    )
    try:
        blocked = _fill(comfyui, callers, load)
        cpu, began = cpu_of([running.pid]), time.monotonic()
        health, health_failed = _health(running, plan.probe_seconds)
        busy = (cpu_of([running.pid]) - cpu) / (time.monotonic() - began)
        held = resident_of([running.pid])
    finally:
        comfyui.release()
        released = time.monotonic()
        run = Run(**load.result())
        emptied = time.monotonic() - released
    return {
        "callers": callers,
        "blocked": blocked,
        "answered": len(run.latencies),
        "lost": callers - len(run.latencies),
        "failure": run.failure,
        "empty_seconds": round(emptied, 2),
        "cpu_percent": round(busy * 100, 1),
        "idle_mb": megabytes(idle),
        "blocked_mb": megabytes(held),
        "each_kb": round((held - idle) / 1024 / callers, 1),
        "health_p50_ms": milliseconds(percentile(health, 50)),
        "health_p99_ms": milliseconds(percentile(health, 99)),
        "health_max_ms": milliseconds(percentile(health, 100)),
        "health_failed": health_failed,
        "idle_health_p99_ms": milliseconds(percentile(idle_health, 99)),
    }


def _fill(comfyui: StandIn, callers: int, load: Tool) -> int:
    """Wait until every caller's prompt is queued or progress ends; returns how many are queued."""
    until = time.monotonic() + FILL_SECONDS
    queued = 0
    while queued < callers and load.is_running() and time.monotonic() < until:
        queued = comfyui.wait_until_queued(callers, seconds=1)
    return queued


def _health(running: Bridge, seconds: float) -> tuple[list[float], int]:
    probed = run_tool("probe", running.url, seconds)
    return probed["latencies"], probed["failed"]
