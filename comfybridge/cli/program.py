"""The name of the program, as the user calls it."""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED = "comfybridge"
CHECKOUT = "app.py"


def program() -> str:
    """`comfybridge` or `python -m comfybridge` where the package is installed, `app.py` in a checkout."""
    called = Path(sys.argv[0])
    if called.stem == INSTALLED:  # on Windows, comfybridge.exe
        return INSTALLED
    return f"python -m {INSTALLED}" if called.parts[-2:] == (INSTALLED, "__main__.py") else CHECKOUT


def command() -> str:
    """The same as it is typed: `python app.py` in a checkout."""
    return f"python {CHECKOUT}" if program() == CHECKOUT else program()
