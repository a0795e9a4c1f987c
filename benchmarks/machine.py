"""Describes the machine and the software versions of a measurement."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from benchmarks.processes import ROOT, get

PACKAGES = (
    *("flask", "werkzeug", "gunicorn", "waitress", "pydantic", "pillow", "requests", "urllib3", "websocket-client"),
    *("aiohttp", "psutil", "nats-py", "comfy-sdk", "comfy-api-proxy"),
)


def machine_facts() -> dict[str, Any]:
    """The machine, and its present load."""
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "load_average": psutil.getloadavg()[0],
    }


def versions(comfyui_url: str) -> dict[str, str]:
    """The versions of the measured code and of its dependencies."""
    found = {"python": platform.python_version(), "commit": _commit(), "comfyui": _comfyui_version(comfyui_url)}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    return "unknown"


def _comfyui_version(url: str) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        system = json.loads(get(url, "/system_stats")[1])["system"]
        return str(system["comfyui_version"])
    return "unknown"
