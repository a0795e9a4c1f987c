"""The option `--version`, which every command has."""

from __future__ import annotations

import argparse

from comfybridge import __version__


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version` to a command: print the version and exit."""
    parser.add_argument(
        "--version", action="version", version=f"ComfyBridge {__version__}", help="print the version and exit"
    )
