"""The data files that come with ComfyBridge: the templates, and gunicorn's settings."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The path of such a file or folder: beside the package in a checkout, inside it once it is installed."""
    installed = PACKAGE / "shipped_files" / name  # pyproject.toml puts them there in a wheel
    return installed if installed.exists() else PACKAGE.parent / name
