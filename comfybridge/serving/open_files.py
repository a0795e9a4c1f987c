"""How many connections the system lets this process hold; each counts as an open file."""

from __future__ import annotations

import contextlib
import logging

from comfybridge.settings import Settings

log = logging.getLogger(__name__)

# Threads beyond the slots: for what is answered at once, such as "busy".
RESERVE = 32
# Threads reserved for probes, so that monitoring is answered whatever the other threads do.
KEPT_BACK = {"/health": 2, "/ready": 2}
# Further connections: idle ones, which take no thread.
IDLE = 4000
# Besides its caller's connection, a waiting request has one to ComfyUI, or two with a websocket of its own.
FILES_PER_REQUEST = 2
OTHER_FILES = 128


def most_connections(settings: Settings) -> int:
    """How many callers may be connected at once. Raises the limit on open files as far as the system allows."""
    wanted = settings.max_concurrent + RESERVE + IDLE
    others = FILES_PER_REQUEST * settings.max_concurrent + OTHER_FILES
    files = _allow_files(wanted + others)
    if files >= wanted + others:
        return wanted
    most = max(files - others, files // 3)
    if most < settings.max_concurrent + RESERVE:
        log.warning(
            "This system lets a process open %d files, too few for %d requests at once: callers beyond %d wait to "
            "be accepted. `ulimit -n` raises it.",
            files,
            settings.max_concurrent,
            most,
        )
    return most


def _allow_files(wanted: int) -> int:
    """Raise the limit on open files to the wanted number, or as near as possible; returns the new limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return wanted
    raised = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
    with contextlib.suppress(ValueError, OSError):  # macOS has a limit of its own below the highest
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, highest))
        limit = raised
    return limit
