"""That part of a request which must never be on a disk: it is in the engine's memory until the job has ended.

These are keys for paid services, which a job has used up once it has run. If the engine loses its memory before that,
the job can't run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from comfybridge.engine.engine import LIVE, Engine
from comfybridge.jobs.job import Job
from comfybridge.jobs.subjects import secrets_subject

# Names in `extra_data`, which ComfyUI itself keeps out of its history (SENSITIVE_EXTRA_DATA_KEYS in execution.py).
NAMES = ("api_key_comfy_org", "auth_token_comfy_org")
SECONDS = 30 * 86400.0  # for which they are kept, if nothing removes them


def split(extra_data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of a request's `extra_data` may be on a disk, and what may not."""
    return (
        {name: value for name, value in extra_data.items() if name not in NAMES},
        {name: value for name, value in extra_data.items() if name in NAMES},
    )


def keep(engine: Engine, name: str, secrets: Mapping[str, Any]) -> None:
    """Keep secrets under a name that nobody guesses. Raises Full or EngineUnreachable."""
    engine.publish(secrets_subject(name), json.dumps(secrets).encode(), ttl=SECONDS)


def read(engine: Engine, job: Job) -> dict[str, Any]:
    """The secrets of a job. Raises LookupError if they are lost, and EngineUnreachable."""
    if job.secrets is None:
        return {}
    kept = engine.get(LIVE, secrets_subject(job.secrets))
    if kept is None:
        raise LookupError("the secrets are lost")
    secrets: dict[str, Any] = json.loads(kept.data)
    return secrets


def forget(engine: Engine, job: Job) -> None:
    """Remove the secrets of a job. Raises EngineUnreachable."""
    if job.secrets is not None:
        engine.purge(LIVE, secrets_subject(job.secrets))
