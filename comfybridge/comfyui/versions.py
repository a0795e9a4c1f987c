"""What follows from ComfyUI's version."""

from __future__ import annotations

import re

from comfybridge.errors import ComfyUIError

# The first version that accepts a prompt's id from the client; older ones choose it themselves.
OLDEST = "0.3.45"
# `/interrupt` respects a prompt's id since ComfyUI pull request 9607 of 2 September 2025, first released as 0.3.57.
# Earlier versions stop whatever prompt runs.
AIMED_INTERRUPT = "0.3.57"


class IdNotTaken(ComfyUIError):
    """ComfyUI does not accept prompt ids from clients: it is older than `OLDEST`."""


def too_old(version: str) -> str:
    """The error message for a ComfyUI older than `OLDEST`."""
    return f"ComfyUI is too old: its version is {version}, and the bridge needs {OLDEST} or later."


def is_too_old(version: str) -> bool:
    """Whether a version is older than `OLDEST`; False if unknown."""
    numbers = _numbers(version)
    return numbers is not None and numbers < _known(OLDEST)


def can_aim_interrupts(version: str) -> bool:
    """Whether a ComfyUI of a version respects the prompt id given to `/interrupt`; False if unknown."""
    numbers = _numbers(version)
    return numbers is not None and numbers >= _known(AIMED_INTERRUPT)


def _numbers(version: str) -> tuple[int, ...] | None:
    found = re.match(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?", version)
    return None if found is None else tuple(int(each or 0) for each in found.groups())


def _known(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
