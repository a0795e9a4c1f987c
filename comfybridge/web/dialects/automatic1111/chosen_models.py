"""The model that each caller has chosen with `POST /sdapi/v1/options`, for requests that name none.

It is kept in the state folder, a small file a caller, so that all processes know it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path

from comfybridge.state import StateFolder

log = logging.getLogger(__name__)

FOLDER = "chosen-models"
MOST = 1000  # callers; beyond, the choices made longest ago are forgotten


class ChosenModels:
    """The choices. Safe to share between threads and processes.

    Args:
        state: the folder.
        servers: the addresses of the ComfyUI servers; what was chosen for others does not count.
    """

    def __init__(self, state: StateFolder, servers: Sequence[str]) -> None:
        self._state = state
        self._servers = servers

    def of(self, caller: str) -> str | None:
        """The model that a caller has chosen; None if it has chosen none."""
        with contextlib.suppress(OSError, UnicodeError):
            return self._path(caller).read_text(encoding="utf-8") or None
        return None

    def choose(self, caller: str, model: str) -> None:
        """Remember a caller's choice; an empty text forgets it. Without a folder for it, there is a warning only."""
        try:
            path = self._path(caller)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            unfinished = path.with_name(f"{uuid.uuid4().hex}.part")
            unfinished.write_text(model, encoding="utf-8")
            unfinished.replace(path)
            _forget_oldest(path.parent)
        except OSError as error:
            log.warning("The model that a caller has chosen can't be kept (%s).", error.strerror or error)

    def _path(self, caller: str) -> Path:
        whose = "\n".join((caller, *self._servers))
        return self._state.path().joinpath(FOLDER, hashlib.sha256(whose.encode()).hexdigest()[:32])


def _forget_oldest(folder: Path) -> None:
    kept = list(folder.iterdir())
    if len(kept) > MOST:
        for each in sorted(kept, key=lambda path: path.stat().st_mtime)[:-MOST]:
            each.unlink(missing_ok=True)
