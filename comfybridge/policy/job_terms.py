"""The priorities of jobs."""

from __future__ import annotations

LOWEST, USUAL, HIGHEST = 0, 1, 2
