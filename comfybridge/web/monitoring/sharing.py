"""Shares metrics between gunicorn's worker processes: each writes its own into files of a common folder.

prometheus-client provides this; it needs an environment variable that names the folder before the first metric is
made, and a call for each process that has ended. The hooks in `gunicorn.conf.py` call this.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_PREFIX = "comfybridge-metrics-"


def begin_sharing() -> None:
    """Have future worker processes share their metrics, in the configured folder or in a new one."""
    given = os.environ.get(FOLDER)
    if not given or _is_of_another(Path(given)):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix=_own_prefix())


def is_sharing() -> bool:
    """Whether there are other processes to share with."""
    return FOLDER in os.environ


def process_ended(pid: int) -> None:
    """Drop the gauges of an ended worker process; its counters stay."""
    if is_sharing():
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def end_sharing() -> None:
    """Remove the folder, if it was made here."""
    given = os.environ.get(FOLDER)
    if given and Path(given).name.startswith(_own_prefix()):
        shutil.rmtree(given, ignore_errors=True)


def _own_prefix() -> str:
    return f"{_PREFIX}{os.getpid()}-"


def _is_of_another(folder: Path) -> bool:
    """Whether another master made the folder: this one inherited the variable, and the other will remove the folder.

    This happens after a SIGUSR2, with which gunicorn replaces itself.
    """
    return folder.name.startswith(_PREFIX) and not folder.name.startswith(_own_prefix())
