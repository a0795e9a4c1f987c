"""Stores results: the first one of a job is its only one."""

from __future__ import annotations

from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import Conflict
from comfybridge.jobs.job import BrokenRecord, Result
from comfybridge.jobs.subjects import LIVE_RESULT_SECONDS, RESULT_STREAMS, result_subject
from comfybridge.jobs.tries import KEPT_SECONDS


def store_result(engine: Engine, result: Result) -> Result:
    """Store how a job ended, if it has not ended yet. Returns its first result: this one or an earlier one.

    Raises:
        EngineUnreachable: it may be stored; to store it again does no harm.
    """
    has_webhook = result.webhook is not None
    subject = result_subject(result.kind, result.id, has_webhook=has_webhook)
    data = result.to_bytes()
    try:
        engine.publish(subject, data, expected=0, ttl=lifetime(result))
    except Conflict:
        stored = engine.get(RESULT_STREAMS[result.kind], subject)
        if stored is not None and stored.data != data:  # otherwise an answer was lost
            return _read(stored.data, result)
    return result


def lifetime(result: Result) -> float:
    """Seconds after which the engine removes a result."""
    if result.kind == "live":
        return LIVE_RESULT_SECONDS
    return result.expires if result.webhook is None else max(result.expires, KEPT_SECONDS)


def _read(data: bytes, ours: Result) -> Result:
    try:
        return Result.from_bytes(data)
    except BrokenRecord as error:
        raise RuntimeError(f"job {ours.id} has a result that cannot be read") from error
