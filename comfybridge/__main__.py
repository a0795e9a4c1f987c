"""The command `comfybridge`, and `python -m comfybridge`."""

from __future__ import annotations

import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line, and end the process with its exit code."""
    try:
        from comfybridge.cli.main import main

        sys.exit(main())
    except KeyboardInterrupt:  # while it starts
        sys.exit(130)


if __name__ == "__main__":
    run()
