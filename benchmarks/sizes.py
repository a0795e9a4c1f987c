"""Time, CPU and memory by the size of an output, against a client that downloads it and encodes it as base64."""

from __future__ import annotations

from typing import Any

from benchmarks.plan import Plan
from benchmarks.processes import bridge, run_tool, stand_in
from benchmarks.runs import median, megabytes, milliseconds, ratio
from benchmarks.tables import say, table

HEADERS = (
    *("MB", "bare ms", "added ms", "x bare", "bare CPU ms", "added CPU ms", "x bare"),
    *("bridge grew by MB", "bare client grew by MB"),
)


def measure(plan: Plan, waiter: str) -> dict[str, Any]:
    """Measure every size in every round: bare, and through a bridge of its own."""
    runs: list[dict[str, Any]] = []
    notes: list[str] = []
    with stand_in(megabytes=(0, *plan.sizes)) as comfyui:
        for number in range(plan.size_rounds):
            for size, requests in plan.sizes.items():
                say(f"sizes: round {number + 1} of {plan.size_rounds}, {size} MB")
                try:
                    bare = run_tool("download", "bare", comfyui.url, size, requests)
                    with bridge(comfyui.url, wait=waiter) as running:
                        bridged = run_tool("download", "bridge", running.url, size, requests, "--pid", running.pid)
                except RuntimeError as error:
                    notes.append(f"{size} MB, round {number + 1}: {error}")
                    continue
                runs.append({"round": number, "mb": size, **_figures(bare, bridged)})
    return {"waiter": waiter, "summary": _summary(plan, runs), "runs": runs, "notes": notes}


def printed(data: dict[str, Any]) -> str:
    """The results as text."""
    names = (
        *("mb", "bare_ms", "added_ms", "ratio", "bare_cpu_ms", "added_cpu_ms", "cpu_ratio"),
        *("growth_mb", "bare_growth_mb"),
    )
    rows = [[row[name] for name in names] for row in data["summary"]]
    return table(f"Large outputs ({data['waiter']})", HEADERS, rows, data["notes"])


def _figures(bare: dict[str, Any], bridged: dict[str, Any]) -> dict[str, Any]:
    def median_of(downloads: list[dict[str, Any]], name: str) -> float | None:
        return median([each[name] for each in downloads])

    def added(name: str) -> float | None:
        large, small = median_of(bridged["large"], name), median_of(bridged["small"], name)
        return None if large is None or small is None else large - small

    def growth(downloads: list[dict[str, Any]]) -> float | None:
        return megabytes(max((each["growth"] for each in downloads if each["growth"] is not None), default=None))

    bare_seconds, bare_cpu = median_of(bare["large"], "seconds"), median_of(bare["large"], "cpu")
    return {
        "bare_ms": milliseconds(bare_seconds),
        "added_ms": milliseconds(added("seconds")),
        "ratio": ratio(added("seconds"), bare_seconds),
        "bare_cpu_ms": milliseconds(bare_cpu),
        "added_cpu_ms": milliseconds(added("cpu")),
        "cpu_ratio": ratio(added("cpu"), bare_cpu),
        "growth_mb": growth(bridged["large"]),
        "bare_growth_mb": growth(bare["large"]),
    }


def _summary(plan: Plan, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    summary = []
    for size in plan.sizes:
        mine = [run for run in runs if run["mb"] == size]
        if mine:
            names = [name for name in mine[0] if name not in ("round", "mb")]
            summary.append({"mb": size, **{name: median([run[name] for run in mine]) for name in names}})
    return summary
