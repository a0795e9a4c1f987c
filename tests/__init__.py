"""The tests; `conftest.py` describes the kinds and where a new one goes."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
