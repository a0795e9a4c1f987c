"""The goals of the bridge, and whether the measurements meet them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.tables import table

HEADERS = ("figure", "to reach", "measured", "")


def printed(report: dict[str, Any], waiter: str) -> str:
    """A line for each measured goal, with the bridge waiting in the given way."""
    rows = []
    for figure, limit, is_most, value in _goals(report, waiter):
        if value is None:
            continue
        reached = value <= limit if is_most else value >= limit
        wanted = f"at {'most' if is_most else 'least'} {limit:g}"
        rows.append((figure, wanted, f"{value:.4g}", "reached" if reached else "MISSED"))
    return table(f"To reach ({waiter})", HEADERS, rows) if rows else ""


def _goals(report: dict[str, Any], waiter: str) -> Iterator[tuple[str, float, bool, float | None]]:
    """For each goal: figure, limit, whether that is an upper one, and the measurement, if any."""
    mine = {row["callers"]: row for row in _rows(report, "callers", "summary") if row["client"] == waiter}
    if 1 in mine:
        yield "median latency added, 1 at once, ms", 2.5, True, mine[1]["added_ms"]
    for callers, row in mine.items():
        yield f"CPU per request, {callers} at once, x direct", 1.0, True, row["cpu_ratio"]
        if callers > 1:
            yield f"throughput, {callers} at once, x direct", 0.97, False, row["throughput_ratio"]
        yield f"failed requests, {callers} at once", 0, True, row["failed"]
    for row in _rows(report, "dialects", "summary"):
        if not row["dialect"].startswith("native"):
            yield f"CPU added by {row['dialect']}, ms", 0.3, True, row["added_cpu_ms"]
    for row in _rows(report, "blocked", "rows"):
        callers = row["callers"]
        yield f"lost of {callers} blocked callers", 0, True, row["lost"]
        if row["blocked"] < callers:
            continue
        if callers == 4000:
            yield "resident with 4000 blocked callers, MB", 350, True, row["blocked_mb"]
        yield f"/health p99 with {callers} blocked callers, ms", 25, True, row["health_p99_ms"]
    least = {2: 1.9, 4: 3.6}
    for row in _rows(report, "servers", "summary"):
        if row["servers"] in least:
            yield f"throughput of {row['servers']} servers, x one", least[row["servers"]], False, row["ratio"]
    for row in _rows(report, "sizes", "summary"):
        if row["mb"] == 20:
            yield "time added by 20 MB, x bare download and base64", 1.3, True, row["ratio"]
        yield f"memory grown by an output of {row['mb']} MB, MB", 32, True, row["growth_mb"]

    yield from _fleet_goals(report)
    yield from _v2_goals(report)


def _fleet_goals(report: dict[str, Any]) -> Iterator[tuple[str, float, bool, float | None]]:
    jobs = report.get("jobs", {})
    if jobs:
        yield "POST /jobs, median, ms", 15, True, jobs["post_median_ms"]
        yield f"of {jobs['waiting']} waiting jobs there after kill -9", jobs["waiting"], False, jobs["there_again"]
        yield "the engine back with them after, s", 5, True, jobs["back_seconds"]
        yield "the engine idle, % of a core", 1, True, jobs["idle_percent"]
        yield "the engine idle, MB", 30, True, jobs["idle_mb"]
    fleet = report.get("fleet", {})
    if fleet:
        yield "added by the fleet, median, ms", 20, True, fleet["added"]["median_ms"]
        yield "added by the fleet, p99, ms", 40, True, fleet["added"]["p99_ms"]
        yield f"lost of {fleet['many']['callers']} callers through the fleet", 0, True, fleet["many"]["lost"]
    least = {2: 1.9, 4: 3.6}
    for row in _rows(report, "fleet", "scaling"):
        if row["agents"] in least:
            yield f"throughput of {row['agents']} agents, x one", least[row["agents"]], False, row["ratio"]


def _v2_goals(report: dict[str, Any]) -> Iterator[tuple[str, float, bool, float | None]]:
    for row in _rows(report, "v2", "summary"):
        if row["server"] == "bridge":
            run = f"{row['callers']} at once, prompts of {row['seconds']} s"
            yield f"v2: jobs lost, {run}", 0, True, row["lost"]
            if row["callers"] > 1:
                yield f"v2: CPU per job, {run}, x proxy", 0.5, True, row["cpu_ms_ratio"]
    for row in _rows(report, "v2", "uploads"):
        if row["server"] == "bridge":
            yield f"v2: memory grown by an upload of {row['mb']} MB, MB", 32, True, row["growth_mb"]


def _rows(report: dict[str, Any], section: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = report.get(section, {}).get(name, [])
    return rows
