"""The graphs of jobs, kept with their results for those who ask for them later."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

from comfybridge.engine.engine import Engine, Full
from comfybridge.jobs.job import Job, Result
from comfybridge.jobs.storing import SPARE_SECONDS
from comfybridge.workflow.folders import without_folder

LARGEST = 256 * 1024  # characters of a graph in a result, which all bridges read; larger ones are files
BLOB = "out-graph"
IN_BLOB = ""


def keep_graph(
    engine: Engine, job: Job, request_of: Callable[[Job], bytes], ran: Mapping[str, Any] | None = None
) -> str | None:
    """The graph of a job as its result keeps it; None if it is not to be kept, or there is no room for a large one.

    Args:
        request_of: returns the request of a job, or raises LookupError.
        ran: the graph that ran, which is kept without the folder that it saved into; None: as the request has it.

    Raises:
        EngineUnreachable
    """
    if not job.keeps_graph:
        return None
    try:
        graph = sent_graph(request_of(job)) if ran is None else without_folder(ran)
        packed = gzip.compress(json.dumps(graph).encode(), 6, mtime=0)
        if len(packed) * 4 // 3 <= LARGEST:
            return base64.b64encode(packed).decode("ascii")
        engine.put_blob(job.id, BLOB, [packed], ttl=job.expires + SPARE_SECONDS)
        return IN_BLOB
    except (LookupError, Full):
        return None


def sent_graph(request: bytes) -> dict[str, Any] | None:
    """The graph in the request of a job; None if it names a template."""
    graph: dict[str, Any] | None = json.loads(request)["request"].get("graph")
    return graph


def kept_graph(engine: Engine, result: Result) -> dict[str, Any] | None:
    """The graph of a job that has ended; None if it was not kept.

    Raises:
        EngineUnreachable
    """
    if result.graph is None:
        return None
    try:
        packed = base64.b64decode(result.graph) or b"".join(engine.read_blob(result.id, BLOB))
    except LookupError:
        return None
    graph: dict[str, Any] = json.loads(gzip.decompress(packed))
    return graph
