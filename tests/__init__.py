"""The tests; `conftest.py` says what kinds there are and where a new one goes."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
