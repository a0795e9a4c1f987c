"""Adds up the metrics that all worker processes have written.

This is separate from `sharing.py`, which gunicorn's master imports before it sets up sharing: prometheus-client
checks for that on import.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from comfybridge.web.monitoring.sharing import FOLDER

log = logging.getLogger(__name__)


class MergedMetrics(Collector):
    """The metrics of all processes. Unreadable files, such as a full disk leaves behind, are skipped."""

    def __init__(self) -> None:
        self._folder = Path(os.environ[FOLDER])
        self._logged: set[str] = set()  # the files that have been reported

    def collect(self) -> Iterable[Metric]:
        """The metrics, as they are now."""
        files = [str(each) for each in self._folder.glob("*.db")]
        try:
            return _merged(files)
        except Exception:  # an unexpected byte may raise anything; reading the files one by one shows which it is
            return _merged([each for each in files if self._is_readable(each)])

    def _is_readable(self, file: str) -> bool:
        try:
            _merged([file])
        except Exception as error:
            if file not in self._logged:
                self._logged.add(file)
                log.warning("The metrics in %s cannot be read, and are left out: %r", file, error)
            return False
        return True


def _merged(files: list[str]) -> Iterable[Metric]:
    return MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call,no-any-return]
