"""Jobs: how long it takes until one is accepted, and what becomes of many when the engine is killed."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import Bridge, bridge, get, run_tool, stand_in
from benchmarks.runs import Run, megabytes
from benchmarks.tables import say, table
from benchmarks.usage import cpu_of, resident_of

# Callers that put the many jobs in.
CALLERS = 16
BACK_SECONDS = 120.0
QUEUED = re.compile(rb'^comfybridge_jobs\{status="queued"\} ([0-9.]+)', re.MULTILINE)

HEADERS = (
    *("POST ms", "p99", "CPU % idle", "MB idle", "waiting", "put in/s", "MB then", "back after s", "there again"),
)


def measure(plan: Plan) -> dict[str, Any]:
    """Measure a bridge with an engine of its own, and a ComfyUI that is held, so that all jobs but one wait."""
    with tempfile.TemporaryDirectory(prefix="comfybridge-benchmark-") as state:
        settings = {"state_dir": state, "max_jobs": plan.waiting + plan.jobs + 1000, "max_queue": 1000}
        with stand_in() as comfyui, bridge(comfyui.url, **settings) as running:
            comfyui.hold()
            say("jobs: the idle engine")
            post(running, 1, 1)
            engine = engine_of(state)
            idle = _idle(engine, plan.idle_seconds)
            say(f"jobs: {plan.jobs} jobs, one after the other")
            posted = post(running, 1, plan.jobs)
            say(f"jobs: {plan.waiting} waiting jobs")
            before = queued(running)
            many = post(running, CALLERS, plan.waiting)
            waiting = queued(running)
            then = resident_of([engine])
            say("jobs: the engine is killed")
            os.kill(engine, signal.SIGKILL)
            back = _back_after(running)
            # a bridge that knows nothing yet reads all of them from the engine
            with bridge(comfyui.url, **settings) as other:
                there = _counted(other, waiting)
            comfyui.release()
    return {
        "post_median_ms": posted.figures()["median_ms"],
        "post_p99_ms": posted.figures()["p99_ms"],
        "refused": posted.failed + many.failed,
        "failure": posted.failure or many.failure,
        **idle,
        "waiting": waiting,
        "put_in": waiting - before,
        "put_in_per_second": round(many.throughput, 1),
        "waiting_mb": megabytes(then),
        "back_seconds": round(back, 2),
        "there_again": there,
    }


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    names = (
        *("post_median_ms", "post_p99_ms", "idle_percent", "idle_mb", "waiting", "put_in_per_second", "waiting_mb"),
        *("back_seconds", "there_again"),
    )
    notes = [f"{data['refused']} were refused: {data['failure']}"] if data["refused"] else []
    return table("Jobs, each on disk before it is accepted", HEADERS, [[data[name] for name in names]], notes)


def post(running: Bridge, callers: int, count: int) -> Run:
    """Have jobs accepted, one after the other by each caller."""
    return Run(**run_tool("load", f"{running.url}/jobs", callers, count, "--accepted", "--warm", 0))


def engine_of(state: str) -> int:
    """The process id of the engine that a bridge runs itself."""
    return int(Path(state, "engine", "lock").read_text())


def queued(running: Bridge) -> int:
    """How many jobs wait, as a bridge sees it."""
    found = QUEUED.search(get(running.url, "/metrics")[1])
    return int(float(found[1])) if found else 0


def _idle(engine: int, seconds: float) -> dict[str, Any]:
    """What the engine takes when nothing happens."""
    time.sleep(1)  # what the first job began has ended
    cpu, began = cpu_of([engine]), time.monotonic()
    time.sleep(seconds)
    busy = (cpu_of([engine]) - cpu) / (time.monotonic() - began)
    return {"idle_percent": round(100 * busy, 2), "idle_mb": megabytes(resident_of([engine]))}


def _back_after(running: Bridge) -> float:
    """Seconds until another job is accepted."""
    began = time.monotonic()
    while time.monotonic() < began + BACK_SECONDS:
        if not post(running, 1, 1).failed:
            return time.monotonic() - began
    raise RuntimeError("the engine never came back")


def _counted(running: Bridge, wanted: int) -> int:
    """How many jobs wait once a bridge has read them all."""
    until = time.monotonic() + BACK_SECONDS
    found = 0
    while time.monotonic() < until and found < wanted:
        get(running.url, "/jobs?limit=1")
        time.sleep(0.2)
        found = min(wanted, queued(running))
    return found
