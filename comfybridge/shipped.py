"""The files that come with ComfyBridge beside its code: the templates, and gunicorn's settings."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The path of such a file or folder: beside the package in a checkout, inside it once it is installed."""
    installed = PACKAGE / "shipped_files" / name  # where pyproject.toml has the wheel put them
    return installed if installed.exists() else PACKAGE.parent / name
