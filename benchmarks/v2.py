"""The Comfy API v2: the bridge beside the vendor's own proxy, both in front of one ComfyUI, called by the SDK."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import Bridge, bridge, proxy_program, run_tool, stand_in, v2_proxy
from benchmarks.runs import Run, median, megabytes, ratio
from benchmarks.tables import say, table

BRIDGE, PROXY = "bridge", "comfy-api-proxy"
NO_SDK = "Not measured: comfy-sdk is not installed (benchmarks/requirements.txt)."
NO_PROXY = "comfy-api-proxy is not installed (benchmarks/requirements.txt), so there is nothing to compare with."

HEADERS = (
    *("server", "callers", "prompt s", "jobs/s", "x proxy", "CPU ms", "x proxy", "median ms", "p99 ms", "lost"),
)
UPLOAD_HEADERS = ("server", "MB", "s", "CPU s", "grew by MB")


def measure(plan: Plan) -> dict[str, Any]:
    """Measure both servers in every round, each run with a server of its own."""
    if importlib.util.find_spec("comfy_sdk") is None:
        return {"summary": [], "uploads": [], "runs": [], "notes": [NO_SDK]}
    names = [BRIDGE] if proxy_program() is None else [BRIDGE, PROXY]
    runs: list[dict[str, Any]] = []
    uploads: list[dict[str, Any]] = []
    notes = [] if PROXY in names else [NO_PROXY]
    for number in range(plan.v2_rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            for callers, jobs, seconds in plan.v2_runs:
                say(f"v2: round {number + 1} of {plan.v2_rounds}, {name}, {callers} callers, prompts of {seconds} s")
                with stand_in(seconds) as comfyui, _server(name, comfyui.url, plan) as running:
                    options = ["--pids", running.pid, *(["--gpu"] if seconds else [])]
                    run = Run(**run_tool("v2_load", "run", running.url, callers, jobs, *options))
                case = {"round": number, "server": name, "callers": callers, "seconds": seconds}
                runs.append({**case, **run.figures()})
    for name in names:
        say(f"v2: {name}, an upload of {plan.v2_upload} MB")
        try:
            with stand_in() as comfyui, _server(name, comfyui.url, plan) as running:
                told = run_tool("v2_load", "upload", running.url, plan.v2_upload, "--pids", running.pid)
        except RuntimeError as error:
            notes.append(f"{name}, an upload of {plan.v2_upload} MB: {error}")
        else:
            uploads.append({"server": name, "mb": plan.v2_upload, **_upload_figures(told)})
    return {"summary": _summary(plan, names, runs), "uploads": uploads, "runs": runs, "notes": notes}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    names = (
        *("server", "callers", "seconds", "per_second", "per_second_ratio", "cpu_ms", "cpu_ms_ratio"),
        *("median_ms", "p99_ms", "lost"),
    )
    failures = {f"{run['server']} lost {run['failed']}: {run['failure']}" for run in data["runs"] if run["failed"]}
    jobs = table(
        "The Comfy API v2, by comfy-sdk's run()",
        HEADERS,
        [[row[name] for name in names] for row in data["summary"]],
        [*data["notes"], *sorted(failures)],
    )
    columns = ("server", "mb", "seconds", "cpu_seconds", "growth_mb")
    rows = [[row[name] for name in columns] for row in data["uploads"]]
    return jobs if not rows else f"{jobs}\n{table('An upload', UPLOAD_HEADERS, rows)}"


@contextlib.contextmanager
def _server(name: str, comfyui_url: str, plan: Plan) -> Iterator[Bridge]:
    if name == PROXY:
        with v2_proxy(comfyui_url, 2 * plan.v2_upload) as running:
            yield running
        return
    with (
        tempfile.TemporaryDirectory(prefix="comfybridge-benchmark-") as state,
        bridge(comfyui_url, state_dir=state, max_queue=1000) as running,
    ):
        yield running


def _upload_figures(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "seconds": round(told["seconds"], 2),
        "cpu_seconds": round(told["cpu"], 2),
        "growth_mb": megabytes(told["growth"]),
    }


def _summary(plan: Plan, names: list[str], runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The medians of all rounds, and of the ratios within each."""
    of = {(run["server"], run["callers"], run["seconds"], run["round"]): run for run in runs}
    summary = []
    for name in names:
        for callers, _, seconds in plan.v2_runs:
            mine, proxys = [
                [of.get((server, callers, seconds, number)) for number in range(plan.v2_rounds)]
                for server in (name, PROXY)
            ]
            row: dict[str, Any] = {"server": name, "callers": callers, "seconds": seconds}
            for figure in ("per_second", "cpu_ms", "median_ms", "p99_ms"):
                row[figure] = median([run[figure] for run in mine if run is not None])
            for figure in ("per_second", "cpu_ms"):
                pairs = [
                    (run[figure], other[figure]) for run, other in zip(mine, proxys, strict=True) if run and other
                ]
                row[f"{figure}_ratio"] = median([ratio(*pair) for pair in pairs])
            row["lost"] = sum(run["failed"] for run in mine if run is not None)
            summary.append(row)
    return summary
