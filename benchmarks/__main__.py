"""`python -m benchmarks`: measures, prints tables, writes JSON and draws a picture. See README.md here."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import blocked, callers, dialects, fleet, goals, jobs, servers, sizes, v2
from benchmarks.callers import OtherBridge
from benchmarks.machine import machine_facts, versions
from benchmarks.picture import draw
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.processes import Refused, allow_many_files, bridge, stand_in
from benchmarks.tables import say

SECTIONS = ("callers", "dialects", "blocked", "servers", "sizes", "jobs", "fleet", "v2")


def main(arguments: Sequence[str] | None = None, plan: Plan | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        plan: how much to measure, in place of the options.
    """
    options = _parser().parse_args(arguments)
    plan = plan or (QUICK if options.quick else FULL)
    allow_many_files()
    with contextlib.ExitStack() as stack:
        url = options.comfyui_url or stack.enter_context(stand_in()).url
        report: dict[str, Any] = {
            "machine": machine_facts(),
            "versions": versions(url),
            "comfyui": options.comfyui_url or "simulator",
            "plan": dataclasses.asdict(plan),
        }
        waiter = _best_waiter(plan, url)
        say(f"Measuring beside {report['comfyui']}; what is not about waiting waits by {waiter}.")
        measures: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], str]]] = {
            "callers": (lambda: callers.measure(plan, url, options.other), callers.printed),
            "dialects": (lambda: dialects.measure(plan, waiter), dialects.printed),
            "blocked": (lambda: blocked.measure(plan, waiter), blocked.printed),
            "servers": (lambda: servers.measure(plan, waiter), servers.printed),
            "sizes": (lambda: sizes.measure(plan, waiter), sizes.printed),
            "jobs": (lambda: jobs.measure(plan), jobs.printed),
            "fleet": (lambda: fleet.measure(plan), fleet.printed),
            "v2": (lambda: v2.measure(plan), v2.printed),
        }
        failed = False
        for section in options.only:
            measure, printed = measures[section]
            try:
                report[section] = measure()
            except Exception:  # the other figures of half an hour are worth keeping
                failed = True
                say(f"{section} could not be measured:\n{traceback.format_exc()}")
            else:
                print(printed(report[section]), flush=True)
    print(goals.printed(report, waiter))
    report["machine"]["load_average_at_end"] = machine_facts()["load_average"]
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    if options.picture and report.get("callers", {}).get("summary"):
        draw(
            report["callers"]["summary"], options.picture, f"One tiny picture a request, ComfyUI: {report['comfyui']}"
        )
    return 1 if failed else 0


def _best_waiter(plan: Plan, comfyui_url: str) -> str:
    """The first way to wait that the bridge supports: its default."""
    for waiter in plan.waiters:
        try:
            with bridge(comfyui_url, wait=waiter):
                return waiter
        except Refused as error:
            say(f"The bridge does not wait by {waiter}: {error}")
    raise SystemExit("The bridge does not start.")


def _sections(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(SECTIONS):
        raise ValueError(text)
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="What the bridge costs, beside a client without one."
    )
    parser.add_argument(
        "--comfyui-url", metavar="URL", help="a real ComfyUI for the section callers; else the simulator"
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes: enough to see that it works")
    parser.add_argument(
        "--only", metavar="SECTION,...", type=_sections, default=list(SECTIONS), help=f"of {', '.join(SECTIONS)}"
    )
    parser.add_argument(
        "--other",
        metavar="NAME=URL,PID,SHAPE",
        type=OtherBridge.parse,
        action="append",
        default=[],
        help="another bridge that runs; SHAPE is where in the body the graph is, such as prompt or input.workflow",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures here")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="draw the latency curves here, as PNG")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
