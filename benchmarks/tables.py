"""Tables in plain text."""

from __future__ import annotations

import sys
from collections.abc import Sequence

Cell = str | int | float | None


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]], notes: Sequence[str] = ()) -> str:
    """A table with aligned columns: numbers on the right, texts on the left."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *texts, strict=True)]
    is_text = [any(isinstance(row[place], str) for row in rows) for place in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(cells, widths, is_text, strict=True)
        ]
        return "  ".join(aligned).rstrip()

    return "\n".join(
        [title, "", line(headers), line(["-" * width for width in widths]), *map(line, texts), *notes, ""]
    )


def say(text: str) -> None:
    """Report progress on standard error, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def _text(cell: Cell) -> str:
    if cell is None:
        return "n/a"
    if isinstance(cell, float):
        # these measurements are worth no more than three digits
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 20 else f"{cell:.2f}"
    return str(cell)
