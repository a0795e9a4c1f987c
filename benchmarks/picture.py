"""Draws the latency curves: how slow the slowest requests are, for each client and number of callers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, StrMethodFormatter

from benchmarks.callers import DIRECT, STRICT
from benchmarks.runs import PERCENTILES

# The last tenths of a percent matter most, so the axis shows how many requests are slower.
TICKS = (0.0, 50.0, 90.0, 99.0, 99.9)
SLOWEST = 99.97


def draw(summary: list[dict[str, Any]], target: Path, title: str) -> None:
    """Draw the summary of the section `callers`.

    Args:
        target: the PNG to write.
    """
    counts = list(dict.fromkeys(row["callers"] for row in summary))
    clients = list(dict.fromkeys(row["client"] for row in summary))
    figure = Figure(figsize=(5.2 * len(counts), 4.8), layout="constrained")
    figure.suptitle(title)
    for axes, callers in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts, strict=True):
        for row in summary:
            if row["callers"] != callers or row["curve_ms"][0] is None:
                continue
            is_direct = row["client"] in (DIRECT, STRICT)
            axes.plot(
                [_place(each) for each in PERCENTILES],
                row["curve_ms"],
                label=row["client"],
                color=f"C{clients.index(row['client'])}",
                linestyle="--" if is_direct else "-",
            )
        axes.set_title(f"{callers} {'caller' if callers == 1 else 'callers'}")
        axes.set_xscale("log")
        axes.set_xticks([_place(each) for each in TICKS], [f"{each:g}" for each in TICKS])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("percent of the requests were answered within")
        axes.set_yscale("log")  # the slowest way to wait would flatten all other curves
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("milliseconds")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.savefig(target, dpi=110)


def _place(percent: float) -> float:
    return 100 / (100 - min(percent, SLOWEST))
